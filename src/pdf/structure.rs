//! The tree of tags: what each piece of text is, for those who do not see where it stands.

use krilla::tagging::{Identifier, TagGroup, TagKind, TagTree};

/// Where in the structure a line belongs: the number of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaf(usize);

/// Gives out leaves, each once.
#[derive(Debug, Default)]
pub(crate) struct Leaves(usize);

/// A tag with the tags in it, or with the lines of its leaf.
pub(crate) struct Branch {
    tag: TagKind,
    leaf: Option<Leaf>,
    branches: Vec<Branch>,
}

/// The pieces drawn for each leaf, in order.
pub(crate) struct Drawn(Vec<Vec<Identifier>>);

impl Leaves {
    pub(crate) fn next(&mut self) -> Leaf {
        let leaf = Leaf(self.0);
        self.0 += 1;
        leaf
    }
}

impl Drawn {
    /// For the leaves given out so far.
    pub(crate) fn new(leaves: &Leaves) -> Self {
        Self(std::iter::repeat_with(Vec::new).take(leaves.0).collect())
    }

    pub(crate) fn add(&mut self, leaf: Leaf, piece: Identifier) {
        if let Some(pieces) = self.0.get_mut(leaf.0) {
            pieces.push(piece);
        }
    }
}

impl Branch {
    /// A tag around the lines of a leaf.
    pub(crate) fn with_text(tag: impl Into<TagKind>, leaf: Leaf) -> Self {
        Self { tag: tag.into(), leaf: Some(leaf), branches: Vec::new() }
    }

    /// A tag around other tags.
    pub(crate) fn with(tag: impl Into<TagKind>, branches: Vec<Branch>) -> Self {
        Self { tag: tag.into(), leaf: None, branches }
    }

    fn grown(self, drawn: &mut Drawn) -> TagGroup {
        let mut group = TagGroup::new(self.tag);
        let pieces = self.leaf.and_then(|leaf| drawn.0.get_mut(leaf.0)).map(std::mem::take).unwrap_or_default();
        pieces.into_iter().for_each(|piece| group.push(piece));
        self.branches.into_iter().for_each(|branch| group.push(branch.grown(drawn)));
        group
    }
}

/// The whole tree, in reading order.
pub(crate) fn tree(branches: Vec<Branch>, mut drawn: Drawn, language: &str) -> TagTree {
    let mut tree = TagTree::new().with_lang(Some(language.to_owned()));
    branches.into_iter().for_each(|branch| tree.push(branch.grown(&mut drawn)));
    tree
}
