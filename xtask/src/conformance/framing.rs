//! Where one JSON value ends and the next begins, in a stream that may hold anything.
//!
//! Only brackets and quotes are looked at, in one pass; whether what is between them is JSON is the parser's business.

use std::{
    io::{self, BufRead},
    mem,
};

/// The longest value that is kept, in bytes.
pub(super) const LONGEST: usize = 1024 * 1024;

/// How many open brackets are remembered by kind; the parser takes no value that is deeper.
const DEEPEST: usize = 128;

/// What stood in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A run of bytes that may be one JSON value.
    Value(Vec<u8>),
    /// A value that was longer than [`LONGEST`], and so is not kept.
    TooLong,
    /// A value that was begun, and cannot become one any more.
    Broken,
}

/// Cuts a stream into frames, one as soon as its last byte has come.
#[derive(Debug)]
pub(super) struct Frames<R> {
    stream: R,
    bytes: Vec<u8>,
    dropped: bool,
    depth: usize,
    open: Vec<u8>,
    last: u8,
    fresh_line: bool,
    quoted: bool,
    escaped: bool,
    bare: bool,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            dropped: false,
            depth: 0,
            open: Vec::new(),
            last: 0,
            fresh_line: true,
            quoted: false,
            escaped: false,
            bare: false,
        }
    }

    /// The next frame; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let available = match self.stream.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some(&byte) = available.first() else { return Ok(self.end()) };
            // A request at the start of a line, where none may begin, is where to go on after a broken one.
            if byte == b'{' && self.fresh_line && !self.may_begin_object() {
                return Ok(Some(self.cut(Frame::Broken)));
            }
            if self.bare && self.depth == 0 && byte == b'{' {
                return Ok(Some(self.value()));
            }
            self.stream.consume(1);
            self.fresh_line = byte == b'\n';
            if let Some(frame) = self.take(byte) {
                return Ok(Some(frame));
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<Frame> {
        if self.depth == 0 && !self.bare {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => return None,
                b'{' | b'[' => {}
                _ => self.bare = true,
            }
        }
        if self.bare {
            if byte == b'\n' {
                return Some(self.value());
            }
            self.keep(byte);
            return None;
        }
        self.keep(byte);
        if self.quoted {
            match byte {
                // No JSON string holds a line break: its end was lost, and the next line may be whole.
                b'\n' => return Some(self.cut(Frame::Broken)),
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return None;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return None,
            b'"' => self.quoted = true,
            b'{' | b'[' => {
                if self.depth < DEEPEST {
                    self.open.push(byte);
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.open.truncate(self.depth);
            }
            _ => {}
        }
        self.last = byte;
        (self.depth == 0).then(|| self.value())
    }

    fn keep(&mut self, byte: u8) {
        if self.bytes.len() < LONGEST {
            self.bytes.push(byte);
        } else {
            self.dropped = true;
        }
    }

    fn value(&mut self) -> Frame {
        let bytes = mem::take(&mut self.bytes);
        let frame = if self.dropped { Frame::TooLong } else { Frame::Value(bytes) };
        self.cut(frame)
    }

    fn cut(&mut self, frame: Frame) -> Frame {
        self.bytes.clear();
        self.open.clear();
        (self.dropped, self.depth, self.quoted) = (false, 0, false);
        (self.escaped, self.bare) = (false, false);
        frame
    }

    fn end(&mut self) -> Option<Frame> {
        if self.bytes.is_empty() {
            return None;
        }
        Some(self.value())
    }

    /// Whether what has come of this value can go on with an object.
    fn may_begin_object(&self) -> bool {
        let Some(innermost) = self.depth.checked_sub(1) else { return true };
        match self.last {
            _ if self.quoted => false,
            b'[' | b':' => true,
            b',' => self.open.get(innermost) != Some(&b'{'),
            _ => false,
        }
    }
}
