//! Two plots of a scenario: how latency is distributed, and how many requests a second there were.

use std::error::Error;
use std::path::Path;

use plotters::backend::SVGBackend;
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle, Text};
use plotters::prelude::IntoLogRange;
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, IntoTextStyle, RGBColor, WHITE};

use super::table::grouped;
use crate::record::{Percentile, ScenarioRecord, ServerRecord, Summary};

const WIDTH: u32 = 800;
const FONT: &str = "sans-serif";
// The backend makes them a fifth smaller.
const TITLE_SIZE: u32 = 22;
const TEXT_SIZE: u32 = 16;

/// Okabe and Ito's colours, which nobody mixes up.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];

/// Draws `SCENARIO-latency.svg` and `SCENARIO-throughput.svg`, if there is anything to draw.
pub fn draw(directory: &Path, scenario: &ScenarioRecord, rate: Option<u64>) -> Result<(), Box<dyn Error>> {
    let measured = scenario.servers.iter().zip(COLOURS.iter().cycle());
    let measured: Vec<Bar<'_>> = measured
        .filter_map(|(server, &colour)| Some(Bar { server, summary: server.summary.as_ref()?, colour }))
        .collect();
    if measured.is_empty() {
        return Ok(());
    }
    let at = rate.map_or_else(String::new, |rate| format!(" at {rate} requests a second"));
    let title = format!("{}{at}", scenario.name);
    latency(&directory.join(format!("{}-latency.svg", scenario.name)), &title, &measured)?;
    throughput(&directory.join(format!("{}-throughput.svg", scenario.name)), &title, &measured)
}

struct Bar<'a> {
    server: &'a ServerRecord,
    summary: &'a Summary,
    colour: RGBColor,
}

/// Latency by percentile. Both axes are logarithmic, the lower one in what is left of all requests: 90%, 99%
/// and 99.9% are as far from each other, so that the slow ones can be seen.
fn latency(path: &Path, title: &str, measured: &[Bar<'_>]) -> Result<(), Box<dyn Error>> {
    let points = || measured.iter().flat_map(|bar| &bar.server.distribution);
    let last = points().map(nines).fold(2.0, f64::max);
    // Whole decades, so that there are always lines to read from.
    let low = points().map(|point| point.latency_us).fold(f64::INFINITY, f64::min).max(0.1);
    let high = points().map(|point| point.latency_us).fold(low, f64::max);
    let decades = 10_f64.powf(low.log10().floor())..10_f64.powf((high * 1.01).log10().ceil());
    let backend = SVGBackend::new(path, (WIDTH, 480));
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("Latency, {title}"), (FONT, TITLE_SIZE))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last, decades.log_scale())?;
    chart
        .configure_mesh()
        .label_style((FONT, TEXT_SIZE))
        .axis_desc_style((FONT, TEXT_SIZE))
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("percentile")
        .y_desc("latency, µs")
        .x_labels(last.ceil() as usize + 1)
        .x_label_formatter(&|nines| percentile(*nines))
        .y_label_formatter(&|us| format!("{us}"))
        .draw()?;
    for bar in measured {
        let line = bar.server.distribution.iter().map(|point| (nines(point), point.latency_us.max(low)));
        let colour = bar.colour;
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
            .label(&bar.server.contender.name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, TEXT_SIZE))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}

/// 90% is 1, 99% is 2, and so on.
fn nines(point: &Percentile) -> f64 {
    -(1.0 - point.percentile / 100.0).log10()
}

fn percentile(nines: f64) -> String {
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{:.decimals$}%", 100.0 * (1.0 - 10_f64.powf(-nines)))
}

/// A bar for each server, with its extremes over the rounds.
fn throughput(path: &Path, title: &str, measured: &[Bar<'_>]) -> Result<(), Box<dyn Error>> {
    const ROW: i32 = 34;
    const LEFT: i32 = 150;
    const TOP: i32 = 52;
    /// For the number behind a bar.
    const RIGHT: i32 = 150;
    let height = TOP + ROW * measured.len() as i32 + 16;
    let backend = SVGBackend::new(path, (WIDTH, height as u32));
    let area: DrawingArea<_, Shift> = backend.into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(
        format!("Requests a second, {title} (bar: median; line: all rounds)"),
        (16, 16),
        (FONT, TITLE_SIZE),
    ))?;

    let greatest =
        |bar: &Bar<'_>| bar.server.rounds.iter().map(|round| round.requests_per_second).fold(0.0, f64::max);
    let most = measured.iter().map(greatest).fold(1.0, f64::max);
    let x = |rate: f64| LEFT + (rate / most * f64::from(WIDTH as i32 - LEFT - RIGHT)) as i32;
    let text = |pos| (FONT, TEXT_SIZE).into_text_style(&area).pos(pos);
    for (row, bar) in measured.iter().enumerate() {
        let top = TOP + ROW * row as i32;
        let (middle, bottom) = (top + ROW / 2 - 4, top + ROW - 8);
        let rate = bar.summary.requests_per_second;
        let name = bar.server.contender.name.clone();
        area.draw(&Text::new(name, (LEFT - 10, middle), text(Pos::new(HPos::Right, VPos::Center))))?;
        area.draw(&Rectangle::new([(LEFT, top), (x(rate), bottom)], bar.colour.filled()))?;
        let rates = || bar.server.rounds.iter().map(|round| round.requests_per_second);
        let (least, most) = (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max));
        area.draw(&PathElement::new(vec![(x(least), middle), (x(most), middle)], BLACK.stroke_width(2)))?;
        let figure = format!("{} ({:.2})", grouped(rate), bar.summary.ratio);
        area.draw(&Text::new(figure, (x(most) + 10, middle), text(Pos::new(HPos::Left, VPos::Center))))?;
    }
    area.present()?;
    Ok(())
}
