//! What names in the body stand for, as far as `use` says so inside of it. Must not live here: judging them.

use std::collections::HashMap;

use syn::visit::Visit;
use syn::{Block, Item, ItemUse, UseTree};

/// The `use` declarations of a body. Those outside of the function are not seen.
#[derive(Default)]
pub(super) struct Imports(HashMap<String, Vec<String>>);

impl Imports {
    pub(super) fn of(block: &Block) -> Self {
        let mut imports = Self::default();
        imports.visit_block(block);
        imports
    }

    /// The path with its first name replaced by what it was imported from.
    pub(super) fn resolve(&self, written: &[String]) -> Vec<String> {
        let imported = written.first().and_then(|first| self.0.get(first));
        match imported {
            Some(full) => full.iter().chain(written.iter().skip(1)).cloned().collect(),
            None => written.to_vec(),
        }
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
                    self.0.insert(last, full);
                }
            }
            UseTree::Rename(renamed) => {
                self.0.insert(renamed.rename.to_string(), with(&renamed.ident));
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add(prefix, item)),
            UseTree::Glob(_) => {}
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
