//! The self-test of survival, with few kills.

mod short_form;

#[test]
fn a_supervisor_that_is_killed_again_and_again_loses_nothing() {
    short_form::must_pass("survival --kills 12 --hangs 2 --seconds 10 --answer-within 5000");
}
