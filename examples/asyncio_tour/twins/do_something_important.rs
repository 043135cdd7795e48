//! From "An event loop is a design pattern", section "Running the Event Loop".

use carhop::time::sleep;

use crate::show::seconds;

async fn do_something_important() {
    sleep(seconds(10)).await;
}

pub fn program() {
    carhop::run(do_something_important());
}
