//! Text tables: aligned, without lines, columns left out where there is no room.

use super::text::clip;

const GAP: usize = 3;

/// On which side a column is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// How a cell is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Bad,
    Quiet,
}

impl Tone {
    /// The escape sequence that begins it.
    fn begin(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[31m",
            Self::Quiet => "\u{1b}[2m",
        }
    }

    /// The text in this tone, if there are colours.
    pub(super) fn paint(self, text: &str, colours: bool) -> String {
        if colours && self != Self::Plain {
            format!("{}{text}\u{1b}[0m", self.begin())
        } else {
            text.to_owned()
        }
    }
}

/// A column. Those of the highest rank go first when there is no room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) align: Align,
    pub(super) rank: u8,
}

/// Builds a column.
pub(super) const fn column(title: &'static str, align: Align, rank: u8) -> Column {
    Column { title, align, rank }
}

/// A cell: text and how it is meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell(pub(super) String, pub(super) Tone);

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(text.to_owned(), Tone::Plain)
    }
}

/// The lines of a table, the head first; none for no rows. `width` is the room there is.
pub(super) fn lines(
    columns: &[Column],
    rows: &[Vec<Cell>],
    width: Option<usize>,
    colours: bool,
) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|Cell(text, _)| text.chars().count()).max();
            widest.unwrap_or_default().max(column.title.chars().count())
        })
        .collect();
    let shown = fitting(columns, &widths, width.unwrap_or(usize::MAX));
    let head: Vec<Cell> = columns.iter().map(|column| column.title.into()).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| line(columns, &widths, &shown, row, width, colours))
        .collect()
}

/// Which columns fit. The first always stays; the last, if it is text, may be clipped to
/// a third.
fn fitting(columns: &[Column], widths: &[usize], room: usize) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let rank = |index: &usize| columns.get(*index).map_or(0, |column| column.rank);
    loop {
        let needed: usize = shown
            .iter()
            .filter_map(|index| widths.get(*index))
            .map(|width| width + GAP)
            .sum();
        let clippable = match shown
            .last()
            .and_then(|index| Some((columns.get(*index)?, widths.get(*index)?)))
        {
            Some((column, width)) if column.align == Align::Left => width * 2 / 3,
            _ => 0,
        };
        if needed.saturating_sub(GAP + clippable) <= room || shown.len() == 1 {
            return shown;
        }
        let Some(highest) = shown.iter().skip(1).map(rank).max() else {
            return shown;
        };
        let Some(position) = shown.iter().skip(1).rposition(|index| rank(index) == highest) else {
            return shown;
        };
        shown.remove(position + 1);
    }
}

fn line(
    columns: &[Column],
    widths: &[usize],
    shown: &[usize],
    row: &[Cell],
    width: Option<usize>,
    colours: bool,
) -> String {
    let mut line = String::new();
    let mut room = width.unwrap_or(usize::MAX);
    for (position, index) in shown.iter().enumerate() {
        let (Some(column), Some(wide), Some(Cell(text, tone))) =
            (columns.get(*index), widths.get(*index), row.get(*index))
        else {
            continue;
        };
        let is_last = position + 1 == shown.len();
        let padding = wide.saturating_sub(text.chars().count());
        let (before, after) = match column.align {
            Align::Right => (padding.min(room), 0),
            Align::Left => (0, padding),
        };
        let text = clip(text, room - before);
        // What is after the last column is nothing, not blanks.
        let after = if is_last { 0 } else { after + GAP };
        line.extend(std::iter::repeat_n(' ', before));
        line.push_str(&tone.paint(&text, colours));
        let after = after.min(room.saturating_sub(before + text.chars().count()));
        line.extend(std::iter::repeat_n(' ', after));
        room = room.saturating_sub(before + text.chars().count() + after);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        column("NAME", Align::Left, 0),
        column("COUNT", Align::Right, 1),
        column("NOTE", Align::Left, 2),
    ];

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec!["a".into(), "7".into(), Cell("fine".to_owned(), Tone::Good)],
            vec!["longer".into(), "123456".into(), "".into()],
        ]
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            lines(&COLUMNS, &rows(), None, false),
            [
                "NAME      COUNT   NOTE",
                "a             7   fine",
                "longer   123456   "
            ]
        );
    }

    #[test]
    fn columns_without_room_are_left_out_by_rank() {
        for width in 1..40 {
            for line in lines(&COLUMNS, &rows(), Some(width), false) {
                assert!(line.chars().count() <= width, "{width}: {line:?}");
            }
        }
        assert_eq!(lines(&COLUMNS, &rows(), Some(15), false)[0], "NAME      COUNT");
        assert_eq!(lines(&COLUMNS, &rows(), Some(6), false)[0], "NAME");
    }

    #[test]
    fn colours_take_no_room() {
        let painted = &lines(&COLUMNS, &rows(), None, true)[1];
        assert!(painted.ends_with("7   \u{1b}[32mfine\u{1b}[0m"), "{painted:?}");
    }
}
