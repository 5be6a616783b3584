//! Where the time of one read goes, as a picture.

use std::fmt::Write;
use std::path::Path;

use super::parts::Parts;

/// Pixels of the longest bar.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 150.0;
const BAR: f64 = 34.0;
const STEP: f64 = 56.0;
/// Room above the bars for the title, and below for the legend.
const TOP: f64 = 44.0;

/// What a bar is made of: what it is, its colour, and microseconds.
type Segment = (&'static str, &'static str, f64);

/// Writes the picture of `open`, one `read` and `close` as an SVG: `times` are the bare file system's, a variable's and a secret's.
pub fn draw(path: &Path, times: [f64; 3], parts: &Parts) {
    let [bare, variable, secret] = times;
    let inside = parts.secret + parts.groups + parts.program;
    let tree = parts.secret - parts.record - parts.audit;
    const KERNEL: (&str, &str) = ("kernel, FUSE, the way from thread to thread, and what is not at hand", "#9aa5b1");
    let segment = |(what, colour): (&'static str, &'static str), time: f64| (what, colour, time);
    let bars: [(&str, Vec<Segment>); 3] = [
        ("bare, 3 requests", vec![segment(KERNEL, bare)]),
        (
            "variable, 2 requests",
            vec![
                segment(KERNEL, variable - parts.variable),
                ("rows, checked, and the handle", "#3b82c4", parts.variable),
            ],
        ),
        (
            "secret, 2 requests",
            vec![
                segment(KERNEL, secret - inside),
                ("rows, checked, and the handle", "#3b82c4", tree),
                ("the caller's groups (/proc/<tid>/status)", "#d98032", parts.groups),
                ("the caller's program (/proc/<tid>/exe)", "#e9b949", parts.program),
                ("decryption", "#a05195", parts.record),
                ("the audit record, written", "#4a9d6b", parts.audit),
            ],
        ),
    ];
    let scale = WIDTH / bare.max(variable).max(secret);
    let mut picture = String::new();
    let height = TOP + 3.0 * STEP + 6.0 * 20.0 + 10.0;
    let width = LEFT + WIDTH + 90.0;
    writeln!(picture, r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">"#).unwrap();
    writeln!(picture, r#"<rect width="{width}" height="{height}" fill="white"/>"#).unwrap();
    writeln!(
        picture,
        r#"<text x="10" y="24" font-size="15">Where the time of open, one read and close goes, in µs</text>"#
    )
    .unwrap();
    for (bar, (name, segments)) in bars.iter().enumerate() {
        let y = TOP + STEP * bar as f64;
        writeln!(picture, r#"<text x="10" y="{}">{name}</text>"#, y + 22.0).unwrap();
        let mut x = LEFT;
        for (what, colour, time) in segments {
            let wide = time.max(0.0) * scale;
            writeln!(
                picture,
                r#"<rect x="{x:.1}" y="{y}" width="{wide:.1}" height="{BAR}" fill="{colour}"><title>{}: {time:.1} µs</title></rect>"#,
                escaped(what)
            )
            .unwrap();
            if wide > 26.0 {
                let middle = x + wide / 2.0;
                writeln!(
                    picture,
                    r#"<text x="{middle:.1}" y="{}" fill="white" text-anchor="middle">{time:.1}</text>"#,
                    y + 22.0
                )
                .unwrap();
            }
            x += wide;
        }
        let whole: f64 = segments.iter().map(|(.., time)| time).sum();
        writeln!(picture, r#"<text x="{:.1}" y="{}">{whole:.1}</text>"#, x + 8.0, y + 22.0).unwrap();
    }
    for (line, (what, colour, time)) in bars[2].1.iter().enumerate() {
        let y = TOP + 3.0 * STEP + 20.0 * line as f64;
        writeln!(picture, r#"<rect x="{LEFT}" y="{y}" width="12" height="12" fill="{colour}"/>"#).unwrap();
        writeln!(picture, r#"<text x="{}" y="{}">{}: {time:.1}</text>"#, LEFT + 20.0, y + 11.0, escaped(what)).unwrap();
    }
    picture.push_str("</svg>\n");
    std::fs::write(path, picture).unwrap();
}

fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
