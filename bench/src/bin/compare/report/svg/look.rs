//! Who looks how: ours stand out, other runtimes stay in the background, and the limits are dashed.

use plotters::style::{Color, RGBColor, ShapeStyle};

use crate::servers::Kind;

/// How a server's line or bar looks.
#[derive(Clone, Copy)]
pub struct Look {
    pub colour: RGBColor,
    width: u32,
    /// Pixels of line, and of gap after it.
    pub dash: Option<(i32, i32)>,
}

impl Look {
    pub fn stroke(self) -> ShapeStyle {
        self.colour.stroke_width(self.width)
    }
}

/// The first of Okabe and Ito's colours, which nobody mixes up: one for each backend, and paler ones for their
/// variants.
const OURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(86, 180, 233), RGBColor(230, 159, 0)];

/// For other runtimes, and what the user adds.
const OTHERS: [RGBColor; 9] = [
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(117, 82, 174),
    RGBColor(160, 150, 30),
    RGBColor(140, 86, 75),
    RGBColor(190, 40, 90),
    RGBColor(110, 160, 60),
    RGBColor(90, 110, 150),
    RGBColor(60, 190, 190),
];

/// Greys, with dashes that get shorter.
const LIMITS: [(RGBColor, (i32, i32)); 3] =
    [(RGBColor(150, 150, 150), (12, 4)), (RGBColor(90, 90, 90), (7, 4)), (RGBColor(0, 0, 0), (2, 3))];

/// The looks of servers of these kinds. One that has run out of colours begins again.
pub fn of(kinds: impl Iterator<Item = Kind>) -> impl Iterator<Item = Look> {
    let mut ours = OURS.into_iter().cycle();
    let mut others = OTHERS.into_iter().cycle();
    let mut limits = LIMITS.into_iter().cycle();
    kinds.map_while(move |kind| {
        Some(match kind {
            Kind::Ours => Look { colour: ours.next()?, width: 4, dash: None },
            Kind::Peer | Kind::Given => Look { colour: others.next()?, width: 2, dash: None },
            Kind::HandWritten => {
                let (colour, dash) = limits.next()?;
                Look { colour, width: 2, dash: Some(dash) }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::of;
    use crate::servers::Kind;

    #[test]
    fn nobody_looks_like_anybody_else() {
        let counts = [(Kind::Ours, 4), (Kind::Peer, 6), (Kind::HandWritten, 3), (Kind::Given, 3)];
        let kinds = counts.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let looks: Vec<_> = of(kinds).collect();
        assert_eq!(looks.len(), 16);
        let colours: HashSet<_> =
            looks.iter().map(|look| (look.colour.0, look.colour.1, look.colour.2)).collect();
        assert_eq!(colours.len(), looks.len());
        assert!(looks[..4].iter().all(|ours| looks[4..].iter().all(|other| ours.width > other.width)));
    }
}
