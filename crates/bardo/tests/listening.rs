//! Much to tell, in a short form: one event listener hears it all while another one hangs.

mod short_form;

#[test]
fn one_that_hangs_costs_the_others_nothing() {
    short_form::must_pass("events --seconds 1 --answer-within 5000 --memory-within 512");
}
