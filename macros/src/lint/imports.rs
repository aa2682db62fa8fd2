//! What names in the body stand for, as far as `use` says so inside of it. Must not live here: judging them.

use std::collections::HashMap;

use syn::visit::Visit;
use syn::{Block, Item, ItemUse, UseTree};

/// How many aliases of aliases are followed: those of a circle come to no end.
const ALIASES_MAX: usize = 8;

/// The `use` declarations of a body. Those outside of the function are not seen.
#[derive(Default)]
pub(super) struct Imports {
    names: HashMap<String, Vec<String>>,
    /// What everything is imported from.
    globs: Vec<Vec<String>>,
}

impl Imports {
    pub(super) fn of(block: &Block) -> Self {
        let mut imports = Self::default();
        imports.visit_block(block);
        imports
    }

    /// The path with its first name replaced by what it was imported from.
    pub(super) fn resolve(&self, written: &[String]) -> Vec<String> {
        let mut resolved = written.to_vec();
        for _ in 0..ALIASES_MAX {
            let first = resolved.first();
            let Some((first, full)) = first.and_then(|first| self.names.get_key_value(first)) else {
                break;
            };
            let is_its_own = full.first() == Some(first);
            resolved = full.iter().chain(resolved.iter().skip(1)).cloned().collect();
            if is_its_own {
                break;
            }
        }
        resolved
    }

    /// Whether all that is in this crate is imported.
    pub(super) fn has_all_of(&self, name: &str) -> bool {
        let mut globs = self.globs.iter().map(|glob| self.resolve(glob));
        globs.any(|glob| glob == [name])
    }

    fn add(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| {
            let mut path = prefix.to_vec();
            if name != "self" {
                path.push(name.to_string());
            }
            path
        };
        match tree {
            UseTree::Path(path) => self.add(&with(&path.ident), &path.tree),
            UseTree::Name(name) => {
                let full = with(&name.ident);
                if let Some(last) = full.last().cloned() {
                    self.names.insert(last, full);
                }
            }
            UseTree::Rename(renamed) => {
                self.names.insert(renamed.rename.to_string(), with(&renamed.ident));
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add(prefix, item)),
            UseTree::Glob(_) => self.globs.push(prefix.to_vec()),
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    /// Those of items inside of the body are theirs.
    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::Use(used) = item {
            self.visit_item_use(used);
        }
    }

    fn visit_item_use(&mut self, used: &'ast ItemUse) {
        self.add(&[], &used.tree);
    }
}
