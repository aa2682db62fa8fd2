//! What activities share: connection pools, clients, configuration. Lives here: a map from type to value. Must not live
//! here: anything journaled.

use std::any::{Any, TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Values that are given to the engine once and that every activity can ask for by type. At most one value of a type.
///
/// ```
/// use amends::SharedState;
///
/// let state = SharedState::new().with(42_u32).with("a client".to_owned());
/// assert_eq!(state.get::<u32>().as_deref(), Some(&42));
/// assert!(state.get::<u64>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct SharedState {
    values: Arc<BTreeMap<TypeId, Shared>>,
}

#[derive(Clone)]
struct Shared {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl SharedState {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with a value; it takes the place of another of its type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.with_arc(Arc::new(value))
    }

    /// The same, with a value that is shared already.
    #[must_use]
    pub fn with_arc<T: Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        let shared = Shared {
            type_name: type_name::<T>(),
            value,
        };
        Arc::make_mut(&mut self.values).insert(TypeId::of::<T>(), shared);
        self
    }

    /// The value of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let shared = self.values.get(&TypeId::of::<T>())?;
        Arc::clone(&shared.value).downcast().ok()
    }
}

impl fmt::Debug for SharedState {
    /// Only the types: values may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.values.values().map(|shared| shared.type_name);
        f.debug_set().entries(names).finish()
    }
}
