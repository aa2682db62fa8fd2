//! Names that mean something else in each namespace: workflow ids and locks. Lives here: the names of namespaces, and how one
//! is a part of such an id. Must not live here: which namespaces there are, or what they grant.
//!
//! An id of the default namespace is its text. One of another namespace has that one's name before it, behind which comes a
//! character that no id can contain. So whatever keeps runs by their workflow id keeps namespaces apart, and a run of the
//! default namespace costs nothing for it. Inside a run (its code, its commands, its events) ids are those of its own
//! namespace and do not name it; who carries such an id out of the run says so ([`WorkflowId::beside`]).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::ids::{IdError, check};
use super::limits;

/// The namespace of everything that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Between a namespace and an id: a control character, which neither may contain.
const SEPARATOR: char = '\u{1f}';

/// The name of a namespace: 1 to 64 bytes, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceName(Arc<str>);

impl NamespaceName {
    /// Checks the text and makes the name.
    ///
    /// # Errors
    /// [`IdError`] says what is wrong with it.
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        const WHAT: &str = "namespace";
        let text = text.as_ref();
        check(WHAT, text)?;
        match text.len() > limits::NAMESPACE_BYTES_MAX {
            true => Err(IdError::LongNamespace { bytes: text.len() }),
            false => Ok(Self(Arc::from(text))),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is that of everything that names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.as_str() == DEFAULT_NAMESPACE
    }

    fn qualify(&self, text: &str) -> Arc<str> {
        match self.is_default() {
            true => Arc::from(text),
            false => Arc::from(format!("{}{SEPARATOR}{text}", self.0)),
        }
    }
}

impl Borrow<str> for NamespaceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Default for NamespaceName {
    fn default() -> Self {
        Self(Arc::from(DEFAULT_NAMESPACE))
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl FromStr for NamespaceName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

macro_rules! namespaced_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            /// The namespace, unless it is the default one, and the id.
            text: Arc<str>,
            /// Where the id begins in it.
            own: u8,
        }

        impl $name {
            /// Checks the text (1 to 255 bytes, no control characters) and makes the id, in the default namespace.
            ///
            /// # Errors
            /// [`IdError`] names what is wrong with the text.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                check($what, text.as_ref())?;
                Ok(Self { text: Arc::from(text.as_ref()), own: 0 })
            }

            /// Makes the id without checking: for text that was checked before (read from the journal, or a constant).
            #[must_use]
            pub fn from_trusted(text: impl Into<Arc<str>>) -> Self {
                let text = text.into();
                let own = text.find(SEPARATOR).map_or(0, |at| at.saturating_add(SEPARATOR.len_utf8()));
                match u8::try_from(own) {
                    Ok(own) => Self { text, own },
                    Err(_) => Self { text, own: 0 },
                }
            }

            /// The id as text, as its namespace knows it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.text.get(usize::from(self.own)..).unwrap_or_default()
            }

            /// The namespace that it is an id of.
            #[must_use]
            pub fn namespace(&self) -> &str {
                match self.own.checked_sub(1) {
                    None => DEFAULT_NAMESPACE,
                    Some(end) => self.text.get(..usize::from(end)).unwrap_or_default(),
                }
            }

            /// Whether that is the default one.
            #[must_use]
            pub fn is_in_default_namespace(&self) -> bool {
                self.own == 0
            }

            /// The same id in another namespace.
            #[must_use]
            pub fn in_namespace(&self, namespace: &NamespaceName) -> Self {
                Self::from_trusted(namespace.qualify(self.as_str()))
            }

            /// The same id in the namespace of a run with this workflow id.
            #[must_use]
            pub fn beside(&self, run: &WorkflowId) -> Self {
                match (run.own, self.own) {
                    (0, 0) => self.clone(),
                    (0, _) => Self { text: Arc::from(self.as_str()), own: 0 },
                    _ => Self::from_trusted(format!("{}{SEPARATOR}{}", run.namespace(), self.as_str())),
                }
            }

            /// Namespace and id as one text, different for different ids: what is stored, and what is told apart by it.
            #[must_use]
            pub fn qualified(&self) -> &str {
                &self.text
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.text.cmp(&other.text)
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.text.hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        /// By the qualified text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.text
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }
    };
}

namespaced_id!(
    /// The caller's name for a workflow: the deduplication key of its start. At most one open run of a namespace has it.
    WorkflowId,
    "workflow id"
);
namespaced_id!(
    /// The name of a semantic lock, for example of the order that a saga works on.
    LockName,
    "lock name"
);

impl WorkflowId {
    /// The id that was [`qualified`](Self::qualified) so, in a text that may have been changed since.
    pub(crate) fn from_qualified(text: &str) -> Result<Self, IdError> {
        match text.split_once(SEPARATOR) {
            None => Self::new(text),
            Some((namespace, id)) => Ok(Self::new(id)?.in_namespace(&NamespaceName::new(namespace)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn namespace(name: &str) -> NamespaceName {
        NamespaceName::new(name).unwrap()
    }

    #[test]
    fn an_id_is_another_one_in_each_namespace_and_reads_the_same() {
        let plain = WorkflowId::new("order-1").unwrap();
        let (payments, mail) = (
            plain.in_namespace(&namespace("payments")),
            plain.in_namespace(&namespace("mail")),
        );
        assert_eq!(HashSet::from([plain.clone(), payments.clone(), mail.clone()]).len(), 3);
        for (id, name) in [(&plain, "default"), (&payments, "payments"), (&mail, "mail")] {
            assert_eq!((id.as_str(), id.namespace()), ("order-1", name));
            assert_eq!(
                (format!("{id}"), format!("{id:?}")),
                ("order-1".to_owned(), "\"order-1\"".to_owned())
            );
            assert_eq!(&WorkflowId::from_trusted(id.qualified()), id);
            assert_eq!(&WorkflowId::from_qualified(id.qualified()).unwrap(), id);
        }
        assert_eq!(plain.qualified(), "order-1", "the default namespace is not named");
        assert_eq!(payments.in_namespace(&NamespaceName::default()), plain);
    }

    #[test]
    fn what_a_run_names_is_beside_it() {
        let lock = LockName::new("order-1").unwrap();
        let run = WorkflowId::new("r").unwrap();
        assert_eq!(lock.beside(&run), lock);
        let elsewhere = lock.beside(&run.in_namespace(&namespace("mail")));
        assert_ne!(elsewhere, lock);
        assert_eq!((elsewhere.as_str(), elsewhere.namespace()), ("order-1", "mail"));
        assert_eq!(elsewhere.beside(&run), lock, "and back");
    }

    #[test]
    fn nobody_can_spell_an_id_of_another_namespace() {
        assert!(WorkflowId::new("mail\u{1f}order-1").is_err());
        assert!(NamespaceName::new("a\u{1f}b").is_err() && NamespaceName::new("").is_err());
        assert!(NamespaceName::new("x".repeat(64)).is_ok());
        let error = NamespaceName::new("x".repeat(65)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a namespace may have at most 64 bytes, this one has 65"
        );
        for text in ["\u{1f}id", "mail\u{1f}", "mail\u{1f}a\u{1f}b"] {
            assert!(WorkflowId::from_qualified(text).is_err(), "{text:?}");
        }
        let longest = WorkflowId::new("i".repeat(255))
            .unwrap()
            .in_namespace(&namespace(&"x".repeat(64)));
        assert_eq!((longest.as_str().len(), longest.namespace().len()), (255, 64));
    }
}
