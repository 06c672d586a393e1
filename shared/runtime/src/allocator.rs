//! The allocator of every service process.

/// Requests are made on one thread and freed on another all day, which glibc's allocator pays for
/// with locks: in a flood it took a sixth of the machine.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
