import asyncio

# Since Python 3.14 `get_event_loop` no longer makes a loop.
asyncio.set_event_loop(asyncio.new_event_loop())

async def coro3(k):
	return k + 3

async def coro2(j):
	j = j * j
	res = await coro3(j)
	return res

async def coro1():
	i = 0
	while i < 100:
		res = await coro2(i)
		print("f({0}) = {1}".format(i, res))
		i += 1

if __name__ == "__main__":
	# Calculate x^2+3 for the first 100 ints
	cr = coro1()
	loop = asyncio.get_event_loop()
	loop.run_until_complete(cr)
