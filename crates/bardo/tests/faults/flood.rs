//! A program that writes without end, and one that writes nothing but events.

use crate::others::{OTHER, writer};
use crate::scene::open;

#[test]
fn a_program_that_floods_its_log_takes_nothing_from_the_others() {
    let flood = "[program:flood]\ncommand=/bin/sh -c 'exec yes yes'\nstartsecs=0\n\
                 stdout_logfile={here}/flood.log\nstdout_logfile_maxbytes=1MB\n\
                 stdout_logfile_backups=1\n\n";
    let stripped = flood.replace("flood", "stripped") + "strip_ansi=true\n\n";
    let programs = flood.to_owned() + &stripped + &writer("writer", "{here}/writer.log", "");
    let scene = open("", &(programs + OTHER));
    let is_rotated = |name: &str| scene.home.file(name).exists();

    scene.wait("the flood", || is_rotated("flood.log.1") && is_rotated("stripped.log.1"));

    scene.expect_supervision();
    scene.await_all_lines(&scene.home.file("writer.log"));
    scene.await_troubles(&[]);
    scene.client().about("stopProcess", "flood").unwrap();
    scene.expect_supervision();
}
