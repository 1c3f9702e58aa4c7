//! Addresses of simulated nodes and pods.
//!
//! Each node owns a block of pod addresses, large enough for the pods it takes and never
//! smaller than a /24. Addresses are handed out in turn, so that one is not seen again
//! right after the pod that had it is gone.

use std::net::Ipv4Addr;

/// A block of addresses whose size is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    base: u32,
    prefix: u32,
}

impl Block {
    /// The blocks of a number of nodes that take so many pods each, from `first` on;
    /// nothing if they do not fit into the address space.
    #[must_use]
    pub fn nth(first: Ipv4Addr, index: usize, pods_per_node: u32) -> Option<Self> {
        let size = pods_per_node
            .checked_add(2)?
            .checked_next_power_of_two()?
            .max(256);
        let offset = u32::try_from(index).ok()?.checked_mul(size)?;
        let base = u32::from(first).checked_add(offset)?;
        base.checked_add(size - 1)?;
        Some(Self {
            base,
            prefix: size.leading_zeros() + 1,
        })
    }

    /// In CIDR notation.
    #[must_use]
    pub fn cidr(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }

    fn usable(&self) -> u32 {
        (1_u32 << (32 - self.prefix)).saturating_sub(2)
    }
}

/// The `index`th address from `first` on.
#[must_use]
pub fn nth_address(first: Ipv4Addr, index: usize) -> Option<Ipv4Addr> {
    Some(u32::from(first).checked_add(u32::try_from(index).ok()?)?.into())
}

/// The addresses of one node's pods.
#[derive(Clone, Debug)]
pub struct Addresses {
    block: Block,
    taken: hashbrown::HashSet<u32>,
    next: u32,
}

impl Addresses {
    /// All free.
    #[must_use]
    pub fn new(block: Block) -> Self {
        Self {
            block,
            taken: hashbrown::HashSet::new(),
            next: 0,
        }
    }

    /// Takes a free address. Should a node hold more pods than it has addresses, the
    /// surplus shares them.
    pub fn allocate(&mut self) -> Ipv4Addr {
        let usable = self.block.usable();
        for _ in 0..usable {
            let candidate = self.advance(usable);
            if self.taken.insert(candidate) {
                return self.address(candidate);
            }
        }
        let candidate = self.advance(usable);
        self.address(candidate)
    }

    /// Takes this very address, if it is one of the node's.
    pub fn claim(&mut self, address: Ipv4Addr) {
        if let Some(offset) = self.offset(address) {
            self.taken.insert(offset);
        }
    }

    /// Gives an address back.
    pub fn release(&mut self, address: Ipv4Addr) {
        if let Some(offset) = self.offset(address) {
            self.taken.remove(&offset);
        }
    }

    fn advance(&mut self, usable: u32) -> u32 {
        let candidate = self.next;
        self.next = (self.next + 1) % usable.max(1);
        candidate
    }

    fn address(&self, offset: u32) -> Ipv4Addr {
        // The first address of a block names the block.
        (self.block.base + 1 + offset).into()
    }

    fn offset(&self, address: Ipv4Addr) -> Option<u32> {
        let offset = u32::from(address).checked_sub(self.block.base)?.checked_sub(1)?;
        (offset < self.block.usable()).then_some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);

    #[test]
    fn nodes_have_disjoint_blocks_that_fit_their_pods() {
        assert_eq!(Block::nth(NETWORK, 0, 110).unwrap().cidr(), "10.128.0.0/24");
        assert_eq!(Block::nth(NETWORK, 4999, 110).unwrap().cidr(), "10.147.135.0/24");
        assert_eq!(Block::nth(NETWORK, 1, 1000).unwrap().cidr(), "10.128.4.0/22");
        assert_eq!(Block::nth(Ipv4Addr::new(255, 255, 0, 0), 256, 110), None);
    }

    #[test]
    fn an_address_is_not_given_twice_nor_again_at_once() {
        let mut addresses = Addresses::new(Block::nth(NETWORK, 0, 110).unwrap());
        let all: hashbrown::HashSet<_> = (0..254).map(|_| addresses.allocate()).collect();
        assert_eq!(all.len(), 254);
        let (first, second) = (Ipv4Addr::new(10, 128, 0, 1), Ipv4Addr::new(10, 128, 0, 2));
        addresses.release(second);
        assert_eq!(addresses.allocate(), second);
        addresses.release(first);
        addresses.claim(first);
        addresses.release(Ipv4Addr::new(10, 128, 0, 9));
        assert_eq!(addresses.allocate(), Ipv4Addr::new(10, 128, 0, 9));
    }
}
