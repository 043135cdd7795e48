def print_result(result):
    print(f"The result is {result}")

def calculate_sum(a, b, callback):
    sum = a + b
    callback(sum)

calculate_sum(5, 10, print_result)
