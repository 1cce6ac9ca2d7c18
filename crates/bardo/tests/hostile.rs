//! Hostile clients, in a short form.

mod short_form;

#[test]
fn programs_run_on_whatever_strangers_send() {
    short_form::must_pass(
        "hostile --connections 300 --seconds 1 --memory-within 512 \
         --restart-within 60000 --starts-percent 0",
    );
}
