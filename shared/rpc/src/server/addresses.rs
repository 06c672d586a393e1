use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;

/// An IPv6 peer owns a whole network of this many leading bits, so that is what counts as its address.
const IPV6_NETWORK_BITS: u32 = 64;

/// What each peer address has open, so that none takes everything.
pub(super) struct Addresses {
    max_connections: usize,
    max_handshakes: usize,
    open: Mutex<HashMap<IpAddr, Open>>,
}

struct Open {
    connections: usize,
    handshakes: Arc<Semaphore>,
}

impl Addresses {
    /// Each address may have so many connections, and so many of them in their handshake at once.
    pub(super) fn new(max_connections: usize, max_handshakes: usize) -> Self {
        Self {
            max_connections,
            max_handshakes,
            open: Mutex::default(),
        }
    }

    /// One more connection of this address; none if it has all it may have.
    pub(super) fn connect(self: &Arc<Self>, address: IpAddr) -> Option<AddressPlace> {
        let address = owner_of(address);
        let mut open = self.open();
        let of_address = open.entry(address).or_insert_with(|| Open {
            connections: 0,
            handshakes: Arc::new(Semaphore::new(self.max_handshakes)),
        });
        if of_address.connections >= self.max_connections {
            return None;
        }
        of_address.connections += 1;
        Some(AddressPlace {
            addresses: Arc::clone(self),
            address,
            handshakes: Arc::clone(&of_address.handshakes),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owner_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = !(u128::MAX >> IPV6_NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// One connection among those of its address, until it is dropped.
pub(super) struct AddressPlace {
    addresses: Arc<Addresses>,
    address: IpAddr,
    /// The handshakes of this address.
    pub(super) handshakes: Arc<Semaphore>,
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut open = self.addresses.open();
        if let Some(of_address) = open.get_mut(&self.address) {
            of_address.connections -= 1;
            if of_address.connections == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_has_all_it_may_have_leaves_room_for_others_and_is_forgotten_when_it_goes() {
        let addresses = Arc::new(Addresses::new(2, 1));
        let connect = |address: &str| addresses.connect(address.parse().unwrap());
        let taken = [connect("10.0.0.1"), connect("10.0.0.1")];
        assert!(taken.iter().all(Option::is_some));
        assert!(connect("10.0.0.1").is_none());
        assert!(connect("::ffff:10.0.0.1").is_none(), "the same peer");
        assert!(connect("10.0.0.2").is_some());
        drop(taken);
        assert!(addresses.open().is_empty());
        assert!(connect("10.0.0.1").is_some());
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one() {
        let addresses = Arc::new(Addresses::new(1, 1));
        let connect = |address: &str| addresses.connect(address.parse().unwrap());
        let _taken = connect("2001:db8::1").unwrap();
        assert!(connect("2001:db8::ffff:2").is_none());
        assert!(connect("2001:db8:0:1::1").is_some());
    }
}
