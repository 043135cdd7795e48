//! Latency by percentile.

use std::error::Error;
use std::path::Path;

use plotters::backend::SVGBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{DashedPathElement, PathElement, Text};
use plotters::prelude::IntoLogRange;
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, IntoTextStyle, WHITE};

use super::look::Look;
use super::{FONT, Subject, TEXT_SIZE, TITLE_SIZE, width_of_names};
use crate::record::Percentile;
use crate::servers::Kind;

const WIDTH: u32 = 700;
/// More, if the legend takes more.
const HEIGHT: i32 = 480;
const MARGIN: u32 = 16;

/// Both axes are logarithmic, the lower one in what is left of all requests: 90%, 99% and 99.9% are as far from
/// each other, so that the slow ones can be seen. The legend is beside it, where no line goes.
pub fn draw(path: &Path, title: &str, measured: &[Subject<'_>]) -> Result<(), Box<dyn Error>> {
    let points = || measured.iter().flat_map(distribution);
    let last = points().map(nines).fold(2.0, f64::max);
    // Whole decades, so that there are always lines to read from.
    let low = points().map(|point| point.latency_us).fold(f64::INFINITY, f64::min).max(0.1);
    let high = points().map(|point| point.latency_us).fold(low, f64::max);
    let decades = 10_f64.powf(low.log10().floor())..10_f64.powf((high * 1.01).log10().ceil());
    let width = WIDTH + (SAMPLE + GAP + width_of_names(measured)) as u32;
    let height = HEIGHT.max(LEGEND_TOP + LEGEND_ROW * measured.len() as i32);
    let area = SVGBackend::new(path, (width, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let (plot, beside) = area.split_horizontally(WIDTH);
    let mut chart = ChartBuilder::on(&plot)
        .caption(format!("Latency, {title}"), (FONT, TITLE_SIZE))
        .margin(MARGIN)
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
    // Ours in the end, above the others.
    let (ours, others): (Vec<_>, Vec<_>) = measured.iter().partition(|subject| subject.kind() == Kind::Ours);
    for subject in others.into_iter().chain(ours) {
        let line = distribution(subject).iter().map(|point| (nines(point), point.latency_us.max(low)));
        let Look { dash, .. } = subject.look;
        match dash {
            None => drop(chart.draw_series(LineSeries::new(line, subject.look.stroke()))?),
            Some((dash, gap)) => {
                chart.draw_series(DashedLineSeries::new(line, dash, gap, subject.look.stroke()))?;
            }
        }
    }
    legend(&beside, measured)?;
    area.present()?;
    Ok(())
}

/// Where the legend begins, and how far its lines are apart.
const LEGEND_TOP: i32 = 60;
const LEGEND_ROW: i32 = 26;
/// A piece of line in the legend, and what is left free after it.
const SAMPLE: i32 = 30;
const GAP: i32 = 10;

/// A line for each server, in the order of the table.
fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>, measured: &[Subject<'_>]) -> Result<(), Box<dyn Error>> {
    for (subject, row) in measured.iter().zip(0..) {
        let y = LEGEND_TOP + LEGEND_ROW * row;
        let (ends, stroke) = ([(0, y), (SAMPLE, y)], subject.look.stroke());
        match subject.look.dash {
            None => area.draw(&PathElement::new(ends, stroke))?,
            Some((dash, gap)) => area.draw(&DashedPathElement::new(ends, dash, gap, stroke))?,
        }
        let style = subject.font().into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(subject.name(), (SAMPLE + GAP, y), style))?;
    }
    Ok(())
}

/// Without the fastest request of all, which may be alone with its latency, unless there is no other.
fn distribution<'a>(subject: &Subject<'a>) -> &'a [Percentile] {
    match &subject.server.distribution[..] {
        [_, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    }
}

/// 90% is 1, 99% is 2, and so on.
fn nines(point: &Percentile) -> f64 {
    -(1.0 - point.percentile / 100.0).log10()
}

fn percentile(nines: f64) -> String {
    let decimals = (nines.round() as usize).saturating_sub(2);
    format!("{:.decimals$}%", 100.0 * (1.0 - 10_f64.powf(-nines)))
}
