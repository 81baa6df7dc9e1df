//! One keep-alive HTTP connection, as cheap as it gets: the generator shares the machine with what it measures.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any wait for a decision.
const ANSWERS_WITHIN: Duration = Duration::from_secs(35);

pub struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    buffer: Vec<u8>,
}

/// What is sent; the user goes into the header `X-User-Id`.
pub struct Post<'a> {
    pub path: &'a str,
    pub user: &'a str,
    pub key: Option<&'a str>,
    pub body: &'a str,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// A text field of the JSON body, wherever it is.
    pub fn field(&self, name: &str) -> Option<String> {
        let text = std::str::from_utf8(&self.body).ok()?;
        let rest = &text[text.find(&format!("\"{name}\":\""))? + name.len() + 4..];
        Some(rest[..rest.find('"')?].to_owned())
    }
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, out: Vec::with_capacity(512), buffer: Vec::with_capacity(4096) })
    }

    pub async fn post(&mut self, post: &Post<'_>) -> Result<Answer> {
        use std::io::Write;
        self.out.clear();
        write!(
            self.out,
            "POST {} HTTP/1.1\r\nhost: x\r\nx-user-id: {}\r\nprefer: wait=30\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n",
            post.path,
            post.user,
            post.body.len()
        )?;
        if let Some(key) = post.key {
            write!(self.out, "idempotency-key: {key}\r\n")?;
        }
        write!(self.out, "\r\n{}", post.body)?;
        self.exchange().await
    }

    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.out = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-user-id: admin\r\n\r\n").into_bytes();
        self.exchange().await
    }

    async fn exchange(&mut self) -> Result<Answer> {
        self.stream.write_all(&self.out).await?;
        self.buffer.clear();
        let (head, length) = loop {
            self.receive().await?;
            if let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break (head + 4, content_length(&self.buffer[..head])?);
            }
        };
        while self.buffer.len() < head + length {
            self.receive().await?;
        }
        let status = self.buffer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no status"))?;
        Ok(Answer { status, body: self.buffer[head..head + length].to_vec() })
    }

    async fn receive(&mut self) -> Result<()> {
        let read = timeout(ANSWERS_WITHIN, self.stream.read_buf(&mut self.buffer)).await;
        match read.map_err(|_| Error::from(ErrorKind::TimedOut))?? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head).map_err(|_| Error::new(ErrorKind::InvalidData, "a head that is no text"))?;
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let length = lengths
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse().ok());
    length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no content-length"))
}
