//! The pages: `web.*`.

use std::path::PathBuf;

use super::layers::{ConfigError, Layers};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Files in it replace embedded ones.
    pub dir: Option<PathBuf>,
    /// Where users without a token are sent.
    pub login_url: Option<String>,
    /// ISO 4217; `None`: amounts are shown as plain numbers.
    pub currency: Option<String>,
    /// Who may show the pages inside others.
    pub frame_ancestors: String,
}

impl Web {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let dir: Option<PathBuf> = layers.text_opt("web.dir")?.map(Into::into);
        if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(layers.refuse("web.dir", format_args!("is {}, which is no directory", dir.display())));
        }
        let login_url = layers.text_opt("web.login_url")?;
        if let Some(url) = login_url.filter(|url| !url.starts_with("https://") && !url.starts_with("http://")) {
            return Err(layers.refuse("web.login_url", format_args!("is {url:?}, must begin with https://")));
        }
        let currency = layers.text_opt("web.currency")?;
        if let Some(code) = currency.filter(|code| code.len() != 3 || !code.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(layers.refuse("web.currency", format_args!("is {code:?}, must be three capital letters")));
        }
        let frame_ancestors = layers.text("web.frame_ancestors")?;
        // One directive of a header.
        let is_source = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',' || byte == b' ';
        if frame_ancestors.is_empty() || !frame_ancestors.bytes().all(is_source) {
            let why = format_args!("is {frame_ancestors:?}, must be sources with spaces between them");
            return Err(layers.refuse("web.frame_ancestors", why));
        }
        Ok(Web {
            dir,
            login_url: login_url.map(str::to_owned),
            currency: currency.map(str::to_owned),
            frame_ancestors: frame_ancestors.to_owned(),
        })
    }
}
