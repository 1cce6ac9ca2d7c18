//! The self-test of services, in a short form.

mod short_form;

#[test]
fn services_that_hang_and_crash_are_there_again() {
    short_form::must_pass(
        "service --hangs 3 --replaced-within 60000 --kills 3 --slower-percent 1000000 \
         --hearts 20 --seconds 1 --percent 1000",
    );
}
