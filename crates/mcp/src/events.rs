//! An event stream (HTML Standard §9.2.5), of which each event is filtered.

use memchr::memchr2;

use crate::lists::{Fault, ListFilter};

/// Filters the messages of an event stream. Fields other than `data`, and comments, are kept; line ends are written anew as a
/// line feed each.
#[derive(Debug)]
pub(crate) struct EventFilter {
    filter: ListFilter,
    /// The line that is not at its end yet.
    line: Vec<u8>,
    /// The fields of the event that is not at its end yet.
    event: Vec<Field>,
    /// How many bytes both have.
    buffered: usize,
    /// Whether the last byte was a carriage return: a line feed right behind it belongs to the same line end.
    after_return: bool,
    is_first_line: bool,
}

#[derive(Debug)]
enum Field {
    Data(Vec<u8>),
    /// A whole line that is passed on.
    Other(Vec<u8>),
}

impl EventFilter {
    pub(crate) fn new(filter: ListFilter) -> Self {
        Self { filter, line: Vec::new(), event: Vec::new(), buffered: 0, after_return: false, is_first_line: true }
    }

    /// Takes the next piece of the stream, which may end anywhere, and writes the events that end in it.
    pub(crate) fn push(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.after_return && !piece.is_empty() {
            self.after_return = false;
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(end) = memchr2(b'\r', b'\n', piece) {
            self.extend_line(&piece[..end])?;
            self.end_line(out)?;
            let rest = &piece[end + 1..];
            piece = match (piece[end], rest.first()) {
                (b'\r', Some(b'\n')) => &rest[1..],
                (b'\r', None) => {
                    self.after_return = true;
                    rest
                }
                _ => rest,
            };
        }
        self.extend_line(piece)
    }

    /// The stream is at its end. An event without its empty line is dropped by the letter of the standard, and some clients
    /// read it nevertheless.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.line.is_empty() {
            self.end_line(out)?;
        }
        if self.event.is_empty() { Ok(()) } else { self.end_event(out) }
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), Fault> {
        self.buffered += part.len();
        if self.buffered > self.filter.max_size() {
            return Err(Fault::TooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut line = std::mem::take(&mut self.line);
        // A client strips a byte order mark, and what is behind it may be `data`.
        if std::mem::take(&mut self.is_first_line) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.end_event(out);
        }
        // So that lines without any text count, too.
        self.buffered += 1;
        let field = match line.strip_prefix(b"data") {
            Some(b"") => Field::Data(Vec::new()),
            Some([b':', value @ ..]) => Field::Data(value.strip_prefix(b" ").unwrap_or(value).to_vec()),
            _ => Field::Other(line),
        };
        self.event.push(field);
        Ok(())
    }

    /// Writes the event, or nothing of it.
    fn end_event(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let before = out.len();
        let written = self.write_event(out);
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn write_event(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let event = std::mem::take(&mut self.event);
        self.buffered = 0;
        let data: Vec<_> = event
            .iter()
            .filter_map(|field| match field {
                Field::Data(data) => Some(&data[..]),
                Field::Other(_) => None,
            })
            .collect();
        let mut data = Some(data.join(&b"\n"[..]));
        for field in &event {
            match field {
                Field::Other(line) => out.extend_from_slice(line),
                // All of it stands where its first line stood.
                Field::Data(_) => {
                    let Some(data) = data.take() else { continue };
                    out.extend_from_slice(b"data:");
                    // An event that only carries an id has no message.
                    if !data.is_empty() {
                        out.push(b' ');
                        self.filter.rewrite(&data, out)?;
                    }
                }
            }
            out.push(b'\n');
        }
        out.push(b'\n');
        Ok(())
    }
}
