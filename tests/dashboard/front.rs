//! What a request passes before anything is answered.

use crate::Cases;
use crate::fixture::{ALICE, Mount, User};
use crate::http::Dashboard;

pub const CASES: Cases = &[("a_session_is_told_who_it_is", a_session_is_told_who_it_is)];

fn a_session_is_told_who_it_is() {
    let mount = Mount::new();
    let dashboard = Dashboard::start(&mount, &User(ALICE, ALICE, &[]));
    let session = dashboard.log_in();
    let about = session.get("/api/about").is_good();
    assert!(about["user"].to_string().contains("alice"), "{about}");
    dashboard.request("GET /api/about HTTP/1.1", &dashboard.of_page(), b"").is_refused(401, "unauthorized");
}
