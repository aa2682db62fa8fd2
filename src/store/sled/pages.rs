//! Small things in pages: several that are neighbours share one value of the database, because each key costs it as much
//! as kilobytes of content. Must not live here: what the things are.
//!
//! A page's key is a lower bound of what is in it, and the next page's key is above it. So whatever is looked for is in
//! the last page whose key is not above it. Pages are split, and removed when they are empty, but never joined.
//!
//! ```text
//! entry  key length(2) key value length(2) value
//! ```
//!
//! A page is bounded twice: by the bytes of its entries, which are read and written together, and, packed, by those of one
//! value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use ::sled::IVec;

use super::Disk;
use super::codec::Cursor;
use super::frame::{self, VALUE_BYTES_MAX};
use super::keys::Key;
use super::pack::{pack, unpack};
use super::quiet::quietly;
use super::round::Writes;
use crate::store::Error;

/// Bytes of an entry besides its key and its value.
pub(super) const ENTRY_OVERHEAD_BYTES: usize = 4;

/// What is to become of some things: a value, or none. The keys begin with the kind, as those of the pages do.
pub(super) type Changes = BTreeMap<Key, Option<Vec<u8>>>;

/// The entries of a page, in order; keys with the kind in front.
pub(super) type Entries<'a> = Vec<(&'a [u8], &'a [u8])>;

/// A page that was read.
pub(super) struct Page<'a> {
    key: &'a [u8],
    content: Cow<'a, [u8]>,
}

impl<'a> Page<'a> {
    /// # Errors
    /// [`Error::Corrupt`] that names the run that the page begins with.
    pub(super) fn open(key: &'a [u8], value: &'a [u8]) -> Result<Self, Error> {
        let content = frame::open(key, value).and_then(unpack);
        let content = content.map_err(|what| damaged(key, what))?;
        Ok(Self { key, content })
    }

    /// # Errors
    /// [`Error::Corrupt`] that names the run that the page begins with.
    pub(super) fn entries(&self) -> Result<Entries<'_>, Error> {
        let mut from = Cursor::new(&self.content);
        let mut entries = Entries::new();
        while !from.is_at_end() {
            let entry = entry(&mut from).ok_or_else(|| damaged(self.key, "cannot be read"))?;
            let in_order = match entries.last() {
                Some((last, _)) => *last < entry.0,
                None => self.key <= entry.0,
            };
            if !in_order {
                return Err(damaged(self.key, "is not in order"));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn entry<'a>(from: &mut Cursor<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut part = || {
        let length = from.array().map(u16::from_be_bytes)?;
        from.bytes(usize::from(length))
    };
    Some((part()?, part()?))
}

/// An entry on its way into a page: of the page as it was, or new.
type NewEntry<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

fn entry_bytes(entry: &NewEntry<'_>) -> usize {
    entry.0.len() + entry.1.len() + ENTRY_OVERHEAD_BYTES
}

fn damaged(key: &[u8], what: &str) -> Error {
    Error::Corrupt {
        run: super::keys::run_at_end(key),
        what: format!("the index page that begins with it {what}"),
    }
}

impl Disk {
    /// The last page whose key is not above this one, of the same kind.
    fn page_of(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, Error> {
        let kind = key.get(..1).unwrap_or(&[]);
        let mut range = self.db.range::<&[u8], _>(kind..=key);
        quietly("reading", || range.next_back().transpose())
    }

    /// The key of the first page above this key, if it is of the same kind.
    fn page_after(&self, key: &[u8]) -> Result<Option<IVec>, Error> {
        let next = quietly("reading", || self.db.get_gt(key))?;
        Ok(next.map(|(next, _)| next).filter(|next| next.first() == key.first()))
    }

    /// The value of a thing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its page is damaged.
    pub(super) fn entry(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some((page, value)) = self.page_of(key)? else {
            return Ok(None);
        };
        let page = Page::open(&page, &value)?;
        let entries = page.entries()?;
        let found = entries.binary_search_by_key(&key, |(key, _)| key).ok();
        Ok(found.and_then(|at| entries.get(at)).map(|(_, value)| value.to_vec()))
    }

    /// The greatest key that is not above `upper` and not below `lower`.
    pub(super) fn last_between(&self, lower: &[u8], upper: &[u8]) -> Result<Option<Key>, Error> {
        let kind = lower.get(..1).unwrap_or(&[]);
        let mut pages = self.db.range::<&[u8], _>(kind..=upper);
        while let Some((page, value)) = quietly("reading", || pages.next_back().transpose())? {
            let page = Page::open(&page, &value)?;
            if let Some((found, _)) = page.entries()?.iter().rfind(|(key, _)| *key <= upper) {
                return Ok(Some(found.to_vec()).filter(|found| &found[..] >= lower));
            }
        }
        Ok(None)
    }

    /// Hands out the keys from `lower` to `upper`, both belonging to it, in order, until it is told to stop.
    pub(super) fn each_between(
        &self,
        lower: &[u8],
        upper: &[u8],
        mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let begin = self
            .page_of(lower)?
            .map_or_else(|| lower.to_vec(), |(page, _)| page.to_vec());
        let mut pages = self.db.range::<&[u8], _>(&begin[..]..=upper);
        while let Some((page, value)) = quietly("reading", || pages.next().transpose())? {
            for (key, _) in Page::open(&page, &value)?.entries()? {
                if key > upper {
                    return Ok(ControlFlow::Continue(()));
                }
                if key >= lower && each(key).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands out all things of a kind, in order.
    pub(super) fn each_entry(
        &self,
        kind: u8,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for page in self.scan(kind) {
            let (page, value) = page?;
            let page = Page::open(&page, &value)?;
            page.entries()?
                .into_iter()
                .try_for_each(|(key, value)| each(key, value))?;
        }
        Ok(())
    }

    /// The pages below this bound, newest first, with what is in them. Each is looked for anew: an iterator of the database keeps a
    /// part of it as it was, and could pass over the upper half of a page that was split meanwhile.
    pub(super) fn pages_back<'a>(
        &'a self,
        lower: &Key,
        upper: Bound<&Key>,
    ) -> impl Iterator<Item = Result<(IVec, IVec), Error>> + 'a {
        let (lower, mut upper) = (Bound::Included(lower.clone()), upper.cloned());
        std::iter::from_fn(move || {
            let mut pages = self.db.range::<Key, _>((lower.clone(), upper.clone()));
            let found = quietly("listing", || pages.next_back().transpose()).transpose();
            if let Some(Ok((key, _))) = &found {
                upper = Bound::Excluded(key.to_vec());
            }
            found
        })
    }

    /// The pages from the one on in which this key belongs.
    pub(super) fn pages_from<'a>(
        &'a self,
        key: &Key,
    ) -> Result<impl Iterator<Item = Result<(IVec, IVec), Error>> + use<'a>, Error> {
        let first = self
            .page_of(key)?
            .map_or_else(|| key.clone(), |(page, _)| page.to_vec());
        let end = key.first().map_or(u8::MAX, |kind| kind.saturating_add(1));
        let mut pages = self.db.range::<Key, _>(first..vec![end]);
        Ok(std::iter::from_fn(move || self.next_of(&mut pages)))
    }

    /// Works changes into the pages that they belong to: what is to be written then. All changes are of one kind.
    pub(super) fn edit(&self, changes: Changes, bytes_max: usize, edits: &mut Edits) -> Result<(), Error> {
        let mut changes = changes.into_iter().peekable();
        while let Some((first, _)) = changes.peek() {
            let page = self.page_of(first)?;
            let next = self.page_after(page.as_ref().map_or(first, |(key, _)| key))?;
            let belongs = |key: &Key| next.as_ref().is_none_or(|next| key[..] < next[..]);
            let mut group = Vec::new();
            while let Some(change) = changes.next_if(|(key, _)| belongs(key)) {
                group.push(change);
            }
            let opened = page.as_ref().map(|(key, value)| Page::open(key, value)).transpose()?;
            let old = opened.as_ref().map(Page::entries).transpose()?;
            let old = old.unwrap_or_default();
            let before = page.as_ref().map(|(key, value)| (&key[..], &value[..]));
            write(before, old, group, bytes_max, edits);
        }
        Ok(())
    }
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) writes: Writes,
    /// The keys of pages among them that are not there yet, and take nothing from those that are; in the order of each kind.
    pub(super) new_pages: Vec<Key>,
}

/// A page without anything in it, which is as good as none.
pub(super) fn empty_page(key: &[u8]) -> Vec<u8> {
    encode(key, &[], 0)
}

/// Writes one page anew, or as several.
fn write(
    before: Option<(&[u8], &[u8])>,
    old: Entries<'_>,
    group: Vec<(Key, Option<Vec<u8>>)>,
    bytes_max: usize,
    edits: &mut Edits,
) {
    // What is only added behind fills the pages: more will come there. What comes between leaves room in each.
    let last = old.last().map(|(last, _)| *last);
    let appended = group.first().is_none_or(|(first, _)| last < Some(first));
    let mut merged: BTreeMap<Cow<'_, [u8]>, Cow<'_, [u8]>> = BTreeMap::new();
    merged.extend(old.into_iter().map(|(key, value)| (key.into(), value.into())));
    for (key, value) in group {
        match value {
            Some(value) => drop(merged.insert(key.into(), value.into())),
            None => drop(merged.remove(&key[..])),
        }
    }
    let entries: Vec<_> = merged.into_iter().collect();
    if entries.is_empty() {
        edits.writes.extend(before.map(|(key, _)| (key.to_vec(), None)));
        return;
    }
    let bytes: usize = entries.iter().map(entry_bytes).sum();
    let mut size = PageSize {
        full: match appended {
            true => bytes_max,
            false => bytes.div_ceil(bytes.div_ceil(bytes_max).max(1)),
        },
        most: bytes_max,
    };
    let mut rest = entries.as_slice();
    let mut kept = before;
    while let Some(first) = rest.first() {
        let key = kept.map_or_else(|| first.0.to_vec(), |(key, _)| key.to_vec());
        let (value, later) = size.page(&key, rest);
        if kept.is_none() && last < Some(&key) {
            edits.new_pages.push(key.clone());
        }
        if kept.is_none_or(|(_, old)| old != &value[..]) {
            edits.writes.push((key, Some(value)));
        }
        (kept, rest) = (None, later);
    }
}

/// How many bytes of entries go into a page.
struct PageSize {
    /// Not more entries when it has so many.
    full: usize,
    /// Never more, unless a single entry has.
    most: usize,
}

impl PageSize {
    /// A page of as many of these entries as fit, and the entries behind it.
    fn page<'a, 'b>(&mut self, key: &[u8], entries: &'b [NewEntry<'a>]) -> (Vec<u8>, &'b [NewEntry<'a>]) {
        loop {
            let (mut bytes, mut count) = (0, 0);
            while let Some(next) = entries.get(count)
                && (count == 0 || bytes < self.full && bytes + entry_bytes(next) <= self.most)
            {
                (bytes, count) = (bytes + entry_bytes(next), count + 1);
            }
            let (now, later) = entries.split_at(count);
            let value = encode(key, now, bytes);
            if value.len() <= VALUE_BYTES_MAX || count <= 1 {
                return (value, later);
            }
            // The entries of a page are alike, so the rest of them will be packed no better.
            self.full = bytes * VALUE_BYTES_MAX / value.len() * 15 / 16;
            self.most = self.full;
        }
    }
}

fn encode(key: &[u8], entries: &[NewEntry<'_>], bytes: usize) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes);
    for (key, value) in entries {
        for part in [key, value] {
            content.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            content.extend_from_slice(part);
        }
    }
    let mut page = frame::begin(0);
    pack(&content, &mut page);
    frame::seal(key, page)
}
