//! The listeners of superlance.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use bardo::selftest::home::{PATIENCE, Port};

use crate::scene::{Scene, python};

#[test]
fn crashmail_tells_of_an_unexpected_end() {
    let Some(tool) = python("crashmail") else { return };
    let scene = Scene::open(
        "clients-crashmail",
        &format!(
            "[eventlistener:crashmail]\n\
             command={} -p crasher -m me@example.org -s \"cat >HERE/mail\"\n\
             events=PROCESS_STATE_EXITED\n\
             [program:crasher]\ncommand=/bin/sh -c \"exit 3\"\nautostart=false\n\
             autorestart=false\nstartsecs=0\n",
            tool.display()
        ),
    );

    scene.daemon.client().about("startProcess", "crasher").unwrap();

    scene.wait_until("there is mail", || scene.read("mail").contains("crasher in group crasher"));
    let mail = scene.read("mail");
    assert!(mail.contains("To: me@example.org"), "{mail}");
    assert!(mail.contains("exited unexpectedly"), "{mail}");
}

#[test]
fn httpok_starts_again_what_does_not_answer() {
    let Some(tool) = python("httpok") else { return };
    let nobodys = Port::take().unwrap();
    let scene = Scene::open(
        "clients-httpok",
        &format!(
            "[eventlistener:httpok]\n\
             command={} -p web:cat -t 1 -m me@example.org -s \"cat >HERE/mail\" \
             http://127.0.0.1:{}/\nevents=TICK_5\n\
             [program:cat]\ncommand=/bin/cat\nstartsecs=0\n[group:web]\nprograms=cat\n",
            tool.display(),
            nobodys.number()
        ),
    );
    scene.await_state("web:cat", "RUNNING");

    scene.await_another("web:cat", scene.pid("web:cat"));

    scene.wait_until("there is mail", || scene.read("mail").contains("web:cat"));
}

#[test]
fn memmon_starts_again_what_has_too_much_memory() {
    let Some(tool) = python("memmon") else { return };
    let scene = Scene::open(
        "clients-memmon",
        &format!(
            "[eventlistener:memmon]\n\
             command={} -p cat=1KB -m me@example.org -s \"cat >HERE/mail\"\nevents=TICK_5\n\
             [program:cat]\ncommand=/bin/cat\nstartsecs=0\n",
            tool.display()
        ),
    );
    scene.await_state("cat", "RUNNING");

    scene.await_another("cat", scene.pid("cat"));

    scene.wait_until("there is mail", || scene.read("mail").contains("memmon"));
}

#[test]
fn fatalmailbatch_tells_of_what_was_given_up() {
    let Some(tool) = python("fatalmailbatch") else { return };
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let (mail, mails) = channel();
    thread::spawn(move || {
        for client in server.incoming() {
            let _ = receive(&client.unwrap(), &mail);
        }
    });
    let scene = Scene::open(
        "clients-fatalmailbatch",
        &format!(
            "[eventlistener:fatalmailbatch]\n\
             command={} --toEmail=me@example.org --fromEmail=it@example.org --interval=0.01 \
             --tickEvent=TICK_5 --smtpHost=127.0.0.1:{port}\n\
             events=PROCESS_STATE_FATAL,TICK_5\n\
             [program:broken]\ncommand=/bin/false\nautostart=false\nstartretries=0\n",
            tool.display()
        ),
    );
    scene.daemon.client().about("startProcess", "broken").unwrap_err();

    let mail = mails.recv_timeout(PATIENCE).expect("there is mail");

    assert!(mail.contains("Process broken:broken failed to start too many"), "{mail}");
}

/// A mail server that takes one mail of a client.
fn receive(client: &TcpStream, mail: &Sender<String>) -> std::io::Result<()> {
    let mut answer = client;
    answer.write_all(b"220 here\r\n")?;
    let (mut text, mut is_text) = (String::new(), false);
    for line in BufReader::new(client).lines() {
        let line = line?;
        let said: &[u8] = match (is_text, line.as_str()) {
            (true, ".") => {
                is_text = false;
                // The test may have ended.
                let _ = mail.send(std::mem::take(&mut text));
                b"250 taken\r\n"
            }
            (true, line) => {
                text.push_str(line);
                text.push('\n');
                continue;
            }
            (false, line) if line.eq_ignore_ascii_case("data") => {
                is_text = true;
                b"354 go on\r\n"
            }
            (false, line) if line.eq_ignore_ascii_case("quit") => b"221 bye\r\n",
            (false, _) => b"250 fine\r\n",
        };
        answer.write_all(said)?;
    }
    Ok(())
}
