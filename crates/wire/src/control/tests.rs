use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn heard(text: &str) -> Vec<Message<'_>> {
    Heard::from_service(text.as_bytes()).unwrap().said().collect()
}

fn misfits(text: &str) -> Vec<String> {
    let heard = Heard::from_service(text.as_bytes()).unwrap();
    heard.misfits().map(|misfit| misfit.to_string()).collect()
}

#[test]
fn several_keys_of_a_message_are_all_heard() {
    let said = heard("READY=1\nSTATUS=serving 3 clients = many\nMAINPID=4711");

    let status = Message::Status("serving 3 clients = many");
    assert_eq!(said, [status, Message::MainPid(4711), Message::Ready]);
}

#[test]
fn the_last_line_of_a_key_counts() {
    assert_eq!(heard("PONG=1\nPONG=2\n"), [Message::Pong(2)]);
    assert_eq!(heard("READY=1\nREADY=no"), []);
}

#[test]
fn unknown_keys_are_passed_over_and_bad_values_are_told() {
    let text =
        "X_VENDOR=1\nno key\nREADY=yes\nERRNO=0\nERRNO=-3\nPONG=18446744073709551616\nMAINPID=0";

    assert_eq!(heard(text), []);
    assert_eq!(
        misfits(text),
        [
            "MAINPID=0 is not understood",
            "PONG=18446744073709551616 is not understood",
            "READY=yes is not understood",
            "ERRNO=-3 is not understood",
        ]
    );
}

#[test]
fn descriptors_are_stored_under_a_name_that_can_be_listed() {
    let store = |name, poll| [Message::Store { name, poll }];
    let long = format!("FDSTORE=1\nFDNAME={}", "n".repeat(256));

    assert_eq!(heard("FDSTORE=1\nFDNAME=state\nFDPOLL=0"), store("state", false));
    assert_eq!(heard("FDSTORE=1"), store("stored", true));
    assert_eq!(heard("FDSTORE=1\nFDNAME=a:b"), store("stored", true));
    assert_eq!(heard(&long), store("stored", true));
    assert_eq!(heard("FDSTOREREMOVE=1\nFDNAME=state"), [Message::Remove("state")]);
    assert_eq!(heard("FDSTOREREMOVE=1"), []);
    assert_eq!(heard("FDNAME=state"), []);
}

#[test]
fn a_nul_is_forgiven_at_the_end_only() {
    let read = |bytes| Heard::from_service(bytes).map(|heard| heard.said().count());

    assert_eq!(read(b"READY=1\0"), Ok(1));
    assert_eq!(read(b"READY=1\0\0"), Err(ControlError::HoldsNul(7)));
    assert_eq!(read(&[b'x'; MESSAGE_BYTES_MAX]), Ok(0));
    assert_eq!(read(&[b'x'; MESSAGE_BYTES_MAX + 1]), Err(ControlError::TooLong));
}

#[test]
fn text_that_is_no_utf8_spoils_its_own_line_only() {
    let heard = Heard::from_service(b"STATUS=\xff\nREADY=1").unwrap();

    let told: Vec<String> = heard.misfits().map(|misfit| misfit.to_string()).collect();
    assert_eq!(told, ["STATUS=\\xff is not understood"]);
    assert_eq!(heard.said().collect::<Vec<_>>(), [Message::Ready]);
}

#[test]
fn no_more_than_a_line_is_shown_of_what_is_not_understood() {
    for (length, expected) in [(50, "\\xff".repeat(50)), (51, "\\xff".repeat(50) + "...")] {
        let text = [b"PONG=".as_slice(), &vec![0xff; length]].concat();
        let heard = Heard::from_service(&text).unwrap();

        let told: Vec<_> = heard.misfits().map(|misfit| misfit.to_string()).collect();

        assert_eq!(told, [format!("PONG={expected} is not understood")]);
    }
}

#[test]
fn a_start_is_told_in_lines() {
    let start =
        Start { init: Init::Update, restarts: 3, label: "web", instance: 9, names: "http:state" };
    let mut buffer = b"what was here".to_vec();

    Order::Init(start).write(&mut buffer).unwrap();

    let expected = "INIT=update\nRESTARTS=3\nLABEL=web\nINSTANCE=9\nFDNAMES=http:state";
    assert_eq!(std::str::from_utf8(&buffer), Ok(expected));
}

#[test]
fn what_would_not_be_read_as_it_was_meant_is_not_written() {
    let mut buffer = Vec::new();
    let long = "x".repeat(MESSAGE_BYTES_MAX);

    for (message, expected) in [
        (Message::Status("a\nREADY=1"), Unsayable::Value("STATUS")),
        (Message::Status(&long), Unsayable::TooLong),
        (Message::Connect(""), Unsayable::Value("CONNECT")),
        (Message::Remove("a:b"), Unsayable::Value("FDNAME")),
    ] {
        assert_eq!(message.write(&mut buffer), Err(expected), "{message:?}");
    }
    let empty = Order::Prepare { state: "", within: None };
    assert_eq!(empty.write(&mut buffer), Err(Unsayable::Value("PREPARE")));
}

const TEXTS: [&str; 5] = ["a", "web", "with spaces", "=", "ü[3]"];

const NAMES: [&str; 3] = ["a", "state 2", "x=y"];

fn durations() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn messages() -> impl Strategy<Value = Message<'static>> {
    let text = || prop::sample::select(&TEXTS[..]);
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        prop::sample::select(
            &[
                Message::Hello,
                Message::Watchdog,
                Message::WatchdogTrigger,
                Message::Standby,
                Message::Busy,
                Message::Prepared,
                Message::Ready,
                Message::Reset,
                Message::Stopping,
                Message::Barrier,
            ][..]
        ),
        text().prop_map(Message::Status),
        (1..=i32::MAX.cast_unsigned()).prop_map(Message::MainPid),
        durations().prop_map(Message::WatchdogPeriod),
        durations().prop_map(Message::ExtendTimeout),
        (name(), any::<bool>()).prop_map(|(name, poll)| Message::Store { name, poll }),
        name().prop_map(Message::Remove),
        text().prop_map(Message::Connect),
        any::<u64>().prop_map(Message::Pong),
        any::<Option<u64>>().prop_map(|since| Message::Reloading { since }),
        (1..=ERRNO_MAX).prop_map(Message::Errno),
    ]
}

fn orders() -> impl Strategy<Value = Order<'static>> {
    let text = || prop::sample::select(&TEXTS[..]);
    let names = prop::sample::select(&["", "a", "http:state"][..]);
    let start = (prop::sample::select(&Init::ALL[..]), any::<u32>(), text(), any::<u64>(), names)
        .prop_map(|(init, restarts, label, instance, names)| Start {
            init,
            restarts,
            label,
            instance,
            names,
        });
    let within = || prop::option::of(durations());
    prop_oneof![
        start.clone().prop_map(Order::Init),
        start.prop_map(Order::Activate),
        Just(Order::Commit),
        any::<u64>().prop_map(Order::Ping),
        (text(), within()).prop_map(|(state, within)| Order::Prepare { state, within }),
        Just(Order::Cancel),
        within().prop_map(|within| Order::Stop { within }),
        text().prop_map(Order::Connected),
        text().prop_map(Order::Peer),
        (1..=ERRNO_MAX).prop_map(Order::Errno),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(message in messages(), order in orders()) {
        let mut buffer = Vec::new();

        message.write(&mut buffer).unwrap();
        let heard = Heard::from_service(&buffer).unwrap();
        prop_assert_eq!(heard.misfits().count(), 0);
        prop_assert_eq!(heard.said().collect::<Vec<_>>(), vec![message]);

        order.write(&mut buffer).unwrap();
        let heard = Heard::from_supervisor(&buffer).unwrap();
        prop_assert_eq!(heard.misfits().count(), 0);
        prop_assert_eq!(heard.said().collect::<Vec<_>>(), vec![order]);
    }

    #[test]
    fn any_text_is_a_message_or_none_and_what_is_heard_can_be_said_again(
        lines in vec(prop_oneof![
            "[A-Z_]{1,8}=[ -~]{0,8}",
            "(READY|PONG|FDSTORE|FDNAME|INIT|STOP|USEC)=[a-z0-9:]{0,4}",
        ], 0..12),
    ) {
        let text = lines.join("\n");
        let mut buffer = Vec::new();

        for message in Heard::from_service(text.as_bytes()).unwrap().said() {
            prop_assert_eq!(message.write(&mut buffer), Ok(()));
        }
        let heard = Heard::from_supervisor(text.as_bytes()).unwrap();
        prop_assert!(heard.said().count() <= 9);
    }
}
