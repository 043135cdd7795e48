//! Requests a second.

use std::error::Error;
use std::path::Path;

use bench::program::grouped;
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, IntoTextStyle, TextStyle, WHITE};

use super::{FONT, Subject, TEXT_SIZE, TITLE_SIZE, width_of_names};
use crate::servers::Kind;

const WIDTH: i32 = 860;
const MARGIN: i32 = 16;
const TOP: i32 = 52;
const BAR: i32 = 22;
const ROW: i32 = BAR + 6;
/// A line that says of what kind the next servers are.
const HEADING: i32 = 30;
/// For the number behind a bar.
const RIGHT: i32 = 150;

/// A bar for each server, with its extremes over the rounds.
pub fn draw(path: &Path, title: &str, measured: &[Subject<'_>]) -> Result<(), Box<dyn Error>> {
    let kinds: Vec<&[Subject<'_>]> = measured.chunk_by(|one, next| one.kind() == next.kind()).collect();
    let heading = if kinds.len() > 1 { HEADING } else { 0 };
    let height = TOP + ROW * measured.len() as i32 + heading * kinds.len() as i32 + MARGIN;
    let area = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("Requests a second, {title} (bar: median; line: all rounds)");
    area.draw(&Text::new(title, (MARGIN, MARGIN), (FONT, TITLE_SIZE)))?;

    let rates = measured.iter().flat_map(|subject| &subject.server.rounds);
    let scale = Scale {
        left: MARGIN + width_of_names(measured) + 10,
        most: rates.map(|round| round.requests_per_second).fold(1.0, f64::max),
    };
    let grey = BLACK.mix(0.6);
    let mut top = TOP;
    for servers in kinds {
        if heading > 0 {
            let pos = Pos::new(HPos::Left, VPos::Center);
            let style = (FONT, TEXT_SIZE).into_text_style(&area).color(&grey).pos(pos);
            area.draw(&Text::new(servers[0].kind().to_string(), (MARGIN, top + heading / 2), style))?;
            top += heading;
        }
        for subject in servers {
            bar(&area, subject, top, &scale)?;
            top += ROW;
        }
    }
    area.present()?;
    Ok(())
}

/// Where the bars begin, and what the longest one stands for.
struct Scale {
    left: i32,
    most: f64,
}

impl Scale {
    fn x(&self, rate: f64) -> i32 {
        self.left + (rate / self.most * f64::from(WIDTH - self.left - RIGHT)) as i32
    }
}

fn bar(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    subject: &Subject<'_>,
    top: i32,
    scale: &Scale,
) -> Result<(), Box<dyn Error>> {
    let (middle, rate) = (top + BAR / 2, subject.summary.requests_per_second);
    let text =
        |side| -> TextStyle<'_> { subject.font().into_text_style(area).pos(Pos::new(side, VPos::Center)) };
    area.draw(&Text::new(subject.name(), (scale.left - 10, middle), text(HPos::Right)))?;

    let corners = [(scale.left, top), (scale.x(rate), top + BAR)];
    let colour = subject.look.colour;
    let strength = match subject.kind() {
        Kind::Ours => 1.0,
        Kind::Peer | Kind::Given => 0.5,
        Kind::HandWritten => 0.15,
    };
    area.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?;
    if subject.kind() == Kind::HandWritten {
        area.draw(&Rectangle::new(corners, colour))?;
    }

    let rates = || subject.server.rounds.iter().map(|round| round.requests_per_second);
    let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
    let range = vec![(scale.x(least), middle), (scale.x(most), middle)];
    area.draw(&PathElement::new(range, BLACK.stroke_width(2)))?;
    let figure = format!("{} ({:.2})", grouped(rate), subject.summary.standing.ratio);
    area.draw(&Text::new(figure, (scale.x(most) + 10, middle), text(HPos::Left)))?;
    Ok(())
}
