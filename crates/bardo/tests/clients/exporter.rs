//! Debian's prometheus-node-exporter, with its collector for supervisord.

use std::process::{Command, Stdio};

use bardo::selftest::home::Port;

use crate::scene::{Background, Scene, get, on_path};

#[test]
fn the_node_exporter_tells_how_processes_are() {
    let Some(exporter) = on_path("prometheus-node-exporter") else { return };
    let scene = Scene::open(
        "clients-exporter",
        "[program:cat]\ncommand=/bin/cat\nstartsecs=0\n\
         [program:down]\ncommand=/bin/cat\nautostart=false\n[group:g]\nprograms=cat,down\n",
    );
    scene.await_state("g:cat", "RUNNING");
    let own_port = Port::take().unwrap();
    let port = own_port.number();
    let _exporter = Background(
        Command::new(exporter)
            .args(["--collector.disable-defaults", "--collector.supervisord"])
            .arg(format!("--collector.supervisord.url=http://127.0.0.1:{}/RPC2", scene.port))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );

    let mut metrics = String::new();
    let works = "node_scrape_collector_success{collector=\"supervisord\"} 1";
    scene.wait_until("it tells of the daemon", || {
        metrics = get(port, "/metrics").unwrap_or_default();
        metrics.contains(works)
    });

    for line in [
        "node_supervisord_up{group=\"g\",name=\"cat\"} 1",
        "node_supervisord_state{group=\"g\",name=\"cat\"} 20",
        "node_supervisord_up{group=\"g\",name=\"down\"} 0",
        "node_supervisord_state{group=\"g\",name=\"down\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
