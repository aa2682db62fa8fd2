//! Drawing: panels of one line each, as SVG. Must not live here: what the lines mean.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Pixels of one panel.
const PANEL: (u32, u32) = (480, 240);

/// How much further the axis goes than the points.
const EDGE: f64 = 1.2;

/// Panels side by side.
const COLUMNS: usize = 2;

const INK: RGBColor = RGBColor(38, 38, 44);
const LINE: RGBColor = RGBColor(28, 100, 190);
const GRID: RGBColor = RGBColor(222, 222, 228);

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// What is drawn, with its unit.
    pub(super) title: String,
    /// What grows from left to right, on a logarithmic axis.
    pub(super) grows: String,
    pub(super) scale: Scale,
    pub(super) points: Vec<(f64, f64)>,
}

/// The axis of what is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    FromZero,
    Logarithmic,
}

/// All panels, two in a row.
///
/// # Errors
/// What the drawing library could not do.
pub(super) fn draw(panels: &[Panel]) -> Result<String, String> {
    let rows = panels.len().div_ceil(COLUMNS);
    let height = PANEL.1 * u32::try_from(rows).unwrap_or(1);
    let width = PANEL.0 * u32::try_from(COLUMNS).unwrap_or(1);
    let mut drawn = String::new();
    {
        let root = SVGBackend::with_string(&mut drawn, (width, height)).into_drawing_area();
        root.fill(&WHITE).map_err(|error| error.to_string())?;
        for (area, panel) in root.split_evenly((rows, COLUMNS)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        root.present().map_err(|error| error.to_string())?;
    }
    Ok(drawn)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Result<(), String> {
    let values = || panel.points.iter().map(|(_, value)| *value);
    let largest = values().fold(f64::MIN_POSITIVE, f64::max);
    let smallest = values().fold(f64::INFINITY, f64::min).min(largest);
    match panel.scale {
        Scale::FromZero => draw_line(area, panel, 0.0..largest * 1.15),
        Scale::Logarithmic => draw_line(area, panel, (smallest / 1.5..largest * 1.5).log_scale()),
    }
}

fn draw_line<Y>(area: &Area<'_>, panel: &Panel, y: Y) -> Result<(), String>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let at = || panel.points.iter().map(|(at, _)| *at);
    let last = at().fold(1.0, f64::max);
    let first = at().fold(f64::INFINITY, f64::min).clamp(1.0, last);
    let (first, last) = (first / EDGE, last.max(first * 10.0) * EDGE);
    // plotters itself would write as many as have room, close to each other at the end of each decade.
    let decades = (0..18).map(|zeros| 10_f64.powi(zeros));
    let decades = decades.filter(|decade| (first..=last).contains(decade)).collect();
    let x = (first..last).log_scale().with_key_points(decades);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15, &INK))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(38)
        .y_label_area_size(58)
        .build_cartesian_2d(x, y)
        .map_err(|error| error.to_string())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(("sans-serif", 11, &INK))
        .axis_desc_style(("sans-serif", 12, &INK))
        .x_desc(&panel.grows)
        .x_label_formatter(&|at| label(*at))
        .y_label_formatter(&|value| label(*value))
        .y_labels(6)
        .draw()
        .map_err(|error| error.to_string())?;
    let line = LineSeries::new(panel.points.iter().copied(), LINE.stroke_width(2)).point_size(3);
    chart.draw_series(line).map_err(|error| error.to_string())?;
    Ok(())
}

/// As short as it can be said.
fn label(number: f64) -> String {
    match number {
        millions if millions >= 1e6 => format!("{}M", millions / 1e6),
        thousands if thousands >= 1e3 => format!("{}k", thousands / 1e3),
        small => format!("{}", (small * 1e3).round() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(title: &str, scale: Scale, points: &[(f64, f64)]) -> Panel {
        Panel {
            title: title.to_owned(),
            grows: "sagas in flight".to_owned(),
            scale,
            points: points.to_vec(),
        }
    }

    #[test]
    fn every_panel_has_its_title_its_axes_and_its_line() {
        let points = [(1.0, 500.0), (100.0, 120.0), (10_000.0, 100.0)];
        let svg = draw(&[
            panel("CPU per saga", Scale::FromZero, &points),
            panel("latency", Scale::Logarithmic, &points),
            panel("rate", Scale::FromZero, &points),
        ])
        .unwrap();
        assert!(svg.starts_with("<svg width=\"960\" height=\"480\""), "{}", &svg[..200]);
        assert!(svg.trim_end().ends_with("</svg>"));
        for text in ["CPU per saga", "latency", "rate", "10k", "500"] {
            assert!(svg.contains(&format!("{text}\n</text>")), "no {text}");
        }
        assert_eq!(svg.matches("\nsagas in flight\n").count(), 3);
        // A line of three points in each panel, and a dot on each point.
        let lines: Vec<&str> = svg
            .split("<polyline ")
            .filter_map(|rest| rest.split('>').next())
            .filter(|line| line.contains("#1C64BE"))
            .collect();
        assert_eq!(lines.len(), 3);
        let corners = lines[0].split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(corners.split_whitespace().count(), 3, "{corners}");
        assert_eq!(svg.matches("<circle ").count(), 9);
    }

    #[test]
    fn what_grows_is_labelled_at_decades() {
        let points = [(1_000.0, 1.0), (100_000.0, 1.0), (300_000.0, 1.0), (1_000_000.0, 1.0)];
        let svg = draw(&[panel("rate", Scale::FromZero, &points)]).unwrap();
        let labels = svg.lines().filter(|line| line.ends_with('k') || line.ends_with('M'));
        let mut labels: Vec<&str> = labels.collect();
        labels.sort_unstable();
        assert_eq!(labels, ["100k", "10k", "1M", "1k"]);
    }

    #[test]
    fn a_single_point_and_none_at_all_can_be_drawn() {
        for points in [&[][..], &[(1_000.0, 0.0)], &[(5.0, 3.0)]] {
            for scale in [Scale::FromZero, Scale::Logarithmic] {
                assert!(draw(&[panel("x", scale, points)]).unwrap().contains("</svg>"));
            }
        }
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.5, 12.0, 1_500.0, 1e6].map(label), ["0.5", "12", "1.5k", "1M"]);
    }
}
