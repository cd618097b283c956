// The segment's layout, version 5: what lies where in the shared memory. This header is the definition.
//
//     Header                one page: magic, version, geometry, identity; then the counters of what is taken
//     DirectoryEntry[ ]     append-only descriptors; an instrument has the same cells in every lane
//     Group                 target, listeners; the arbiter writes it
//     EventRecord[ ]        the group's event ring
//     SettingEntry[ ]       facts, settings and tunables; append-only
//     CrashRecord[ ]        of the last workers that crashed, a page each; the arbiter keeps them
//     retired lane × 2      what departed workers did; see `Header::retired`
//     retired registers     likewise, of Distincts
//     Seat[ ]               per seat: Seat page(s), CrashRecord, ConnectionRecord[ ], event ring, action ring,
//                           lanes, registers
//
// A lane is a copy of all cells: heads (words of counters and gauges, heads of distributions), then the rings
// of samples, then the buckets, then the tables of heavy hitters. The process' first thread has the first lane, up to `lane_count` - 2 more
// threads have one each, and the last one is for all others.
//
// A slot is a worker's position in the group (0 … slots - 1) and has two seats, 2n and 2n + 1, so that a
// successor starts while its predecessor still serves. The seat after the last worker's is the arbiter's own.
//
// Everything that changes is a lock-free atomic; zeroed memory is a valid empty state; there are no pointers
// and no locks. Readers validate the geometry once (`SegmentView`), keep a private copy of it, and check
// every index afterwards, because a broken process may have scribbled over any of this.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "signalbox/detail/lane.hpp"

namespace signalbox::telemetry {

inline constexpr char kMagic[8] = {'S', 'I', 'G', 'N', 'L', 'B', 'O', 'X'};
inline constexpr std::uint32_t kLayoutVersion = 6;
inline constexpr std::size_t kPage = 4096;

inline constexpr std::uint32_t kMaxSlots = 1000;
inline constexpr std::uint32_t kMaxInstruments = 65536;
inline constexpr std::uint32_t kMaxSettings = 65536;
inline constexpr std::uint32_t kMaxLanes = 32;
inline constexpr std::uint32_t kMaxListeners = 8;
inline constexpr std::uint32_t kEventRingRecords = 256;    // a power of two
inline constexpr std::uint32_t kActionRingRecords = 1024;  // a power of two
inline constexpr std::uint32_t kCrashFrames = 48;
inline constexpr std::uint32_t kCrashModules = 24;
inline constexpr std::uint32_t kKeptCrashes = 8;
inline constexpr std::uint32_t kConnectionRecords = 256;

using AtomicWord = std::atomic<std::uint64_t>;
using AtomicHalf = std::atomic<std::uint32_t>;

/// Sizes and places, fixed at creation.
struct Geometry {
    std::uint32_t slot_count = 0;
    std::uint32_t seat_count = 0;  ///< 2 * slot_count + 1
    std::uint32_t directory_capacity = 0;
    std::uint32_t lane_count = 0;  ///< of a seat
    std::uint32_t lane_bytes = 0;
    std::uint32_t samples_start = 0;  ///< within a lane; the heads end here
    std::uint32_t buckets_start = 0;  ///< within a lane; the samples end here
    std::uint32_t tables_start = 0;   ///< within a lane; the buckets end here
    std::uint32_t registers_bytes = 0;
    std::uint32_t settings_capacity = 0;
    std::uint64_t directory_offset = 0;
    std::uint64_t group_offset = 0;
    std::uint64_t group_ring_offset = 0;
    std::uint64_t settings_offset = 0;
    std::uint64_t crashes_offset = 0;
    std::uint64_t retired_offset = 0;  ///< of the first of the two retired lanes
    std::uint64_t retired_registers_offset = 0;
    std::uint64_t seats_offset = 0;
    std::uint64_t seat_stride = 0;
    std::uint64_t seat_crash_offset = 0;        ///< within a seat
    std::uint64_t seat_connections_offset = 0;  ///< within a seat
    std::uint64_t seat_ring_offset = 0;         ///< within a seat: events
    std::uint64_t seat_actions_offset = 0;      ///< within a seat: the ring of actions and chatter
    std::uint64_t seat_lanes_offset = 0;        ///< within a seat, of its first lane
    std::uint64_t seat_registers_offset = 0;    ///< within a seat
    std::uint64_t total_bytes = 0;
};

struct Header {
    char magic[8];
    std::uint32_t layout_version;
    std::uint32_t header_bytes;
    Geometry geometry;
    std::uint8_t boot_id[16];           ///< random; names this group's life
    std::int64_t created_wall_ns;       ///< the same instant on CLOCK_REALTIME …
    std::int64_t created_monotonic_ns;  ///< … and CLOCK_MONOTONIC
    char group_name[64];                ///< zero-terminated

    alignas(64) AtomicHalf heads_taken;  ///< bytes of a lane's heads area given to instruments
    AtomicHalf samples_taken;            ///< of its samples area
    AtomicHalf buckets_taken;            ///< of its buckets area
    AtomicHalf tables_taken;             ///< of its tables area
    AtomicHalf registers_taken;          ///< of a seat's registers

    /// Which retired lane counts (bit 0), and whose cells are in it already: (generation << 12 | seat << 1).
    /// One store commits a fold, so a departed generation counts exactly once whenever anybody dies. See
    /// retire.hpp.
    alignas(64) AtomicWord retired;
    AtomicHalf retired_registers_touched;  ///< 0: nothing is in the retired registers yet
    AtomicWord fold_sequence;              ///< odd while the arbiter folds; readers of totals retry
};
static_assert(sizeof(Header) <= kPage);

/// What becomes of an entry of an append-only table: vacant → claimed → ready. Or back to vacant, when there is no
/// room for what it describes. Or abandoned, for good, when others found its claimant dead or stuck.
enum class EntryState : std::uint32_t {
    vacant = 0,
    claimed = 1,
    ready = 2,
    abandoned = 3,
    damaged = 4,  ///< never stored: what is there is none of these
};

/// The low two bits of an entry's first word are its state. While it is claimed, the others say by whom (see
/// registration.hpp); else they are 0.
inline EntryState state_of(const AtomicWord& first_word) {
    const std::uint64_t word = first_word.load(std::memory_order_acquire);
    const auto state = static_cast<EntryState>(word & 3);
    return word <= 3 || state == EntryState::claimed ? state : EntryState::damaged;
}

/// What belongs to a distribution beside its head, samples and buckets.
enum class DistributionShape : std::uint32_t {
    plain = 0,
    two_sided = 1,  ///< a second head and second buckets, each right behind the first, for what is below zero
    interval = 2,   ///< a word behind the head: the process' last tick (in the first lane)
};

/// An instrument. Written once by the process that claimed it, read only when `ready`.
struct DirectoryEntry {
    AtomicWord state;              ///< EntryState and claimant
    std::uint32_t kind;            ///< wire::InstrumentKind
    std::uint32_t aggregation;     ///< wire::Aggregation
    std::uint32_t head_offset;     ///< within a lane: a word, or a DistributionHead
    std::uint32_t buckets_offset;  ///< within a lane, of a distribution
    std::uint32_t samples_offset;  ///< within a lane, of a distribution
    std::uint32_t block_offset;    ///< within a lane, of heavy hitters; within the registers, of a Distinct
    double ticks_per_unit;
    std::uint32_t shape;      ///< DistributionShape
    std::uint32_t precision;  ///< of a Distinct: it has 2^precision registers
    char name[96];
    char unit[16];
    char help[136];
    char labels[168];
    char defined_at[48];  ///< "file.cpp:12", where it was registered first
};
static_assert(sizeof(DirectoryEntry) == 512);

/// The registers of a Distinct: of seven slices of ten seconds, seven of ten minutes, and of all time; see
/// distinct_windows.hpp.
inline constexpr std::uint32_t kDistinctSlices = 7;
inline constexpr std::uint32_t kRegistersAlignment = 64;
struct DistinctBlock {
    AtomicWord current;  ///< number of the slice that is recorded to; 0: none yet
    AtomicWord changes;  ///< of any register
    AtomicWord
        minute_numbers[kDistinctSlices];       ///< whose each slice is: CLOCK_MONOTONIC / 10 s + 1; 0: empty
    AtomicWord hour_numbers[kDistinctSlices];  ///< CLOCK_MONOTONIC / 600 s + 1
    AtomicWord ever_used;  ///< 0: nothing is older than the slices, and that part need not be read
    AtomicWord spare[7];

    std::atomic<std::uint8_t>* registers() { return reinterpret_cast<std::atomic<std::uint8_t>*>(this + 1); }
    static constexpr std::uint64_t bytes(unsigned precision) {
        return sizeof(DistinctBlock) + (2 * kDistinctSlices + 1) * (std::uint64_t{1} << precision);
    }
};
static_assert(sizeof(DistinctBlock) == 192);

enum class Phase : std::uint32_t {
    vacant = 0,
    starting = 1,  ///< the arbiter has forked it
    ready = 2,     ///< the worker says that it serves
    draining = 3,  ///< the worker says that it takes nothing new
};

/// What a worker is at, so that it is known even if it never comes back from it. `sequence` is odd while it
/// is written.
struct ActivityRecord {
    AtomicHalf sequence;
    AtomicHalf length;  ///< 0: idle
    AtomicWord since_monotonic_ns;
    std::atomic<std::uint64_t> text[14];  ///< 112 bytes of UTF-8
};

/// What a worker shows of one listener's accept queue. What the event loop accepts itself and serves at once counts as
/// pushed and popped.
struct alignas(64) QueueRecord {
    AtomicHalf capacity;             ///< 0: no such queue
    AtomicHalf stands_back;          ///< 1: the worker leaves what comes to the others
    AtomicWord pushed;               ///< by the event loop and its stand-in, atomically
    AtomicWord popped;               ///< by the event loop; depth = pushed - popped
    AtomicWord oldest_monotonic_ns;  ///< when the first one waiting was accepted; 0: none waits
    AtomicWord shed;                 ///< by either, atomically
};

/// Where the first thread of a process was when the arbiter asked; see stack_reporter.hpp. `sequence` is odd while the
/// signal handler writes.
struct StackRecord {
    AtomicWord sequence;
    AtomicWord heartbeat_monotonic_ns;  ///< the seat's at that moment
    AtomicWord frame_count;
    AtomicWord frames[kCrashFrames];  ///< innermost first; all but the first are return addresses
};

/// A process' place. The arbiter writes the first block, the process itself the rest.
struct Seat {
    // the arbiter's
    alignas(64) AtomicHalf pid;  ///< 0: vacant
    AtomicHalf slot;
    AtomicWord generation;  ///< unique in the group's life
    AtomicHalf phase;       ///< Phase; the worker moves it on from `starting`
    AtomicHalf
        resumptions;  ///< so often a drain was taken back; a worker that drains when it changes goes on serving
    AtomicWord started_monotonic_ns;
    AtomicWord resident_bytes;

    // the process'
    alignas(64) AtomicWord heartbeat_monotonic_ns;
    AtomicWord requests;
    AtomicHalf connections;
    AtomicHalf open_files;
    AtomicHalf lanes_claimed;      ///< bit n: a thread has lane n
    AtomicHalf lanes_touched;      ///< bit n: lane n may hold something; others need not be read
    AtomicHalf registers_touched;  ///< 0: nor the registers
    AtomicHalf late_us;            ///< how late the event loop was; fades
    AtomicWord turn_began_ns;  ///< CLOCK_MONOTONIC, of the event loop's turn; 0: it waits for something to do
    alignas(64) ActivityRecord activity;
    QueueRecord queues[kMaxListeners];
    alignas(64) AtomicWord ring_head;    ///< of the seat's event ring; records written or claimed so far
    alignas(64) AtomicWord action_head;  ///< of its action ring
    StackRecord stack;
};
static_assert(sizeof(Seat) <= kPage);

struct ListenerRecord {
    AtomicHalf used;
    AtomicHalf port;
    AtomicHalf backlog_limit;
    char protocol[12];  ///< "http"
    char address[104];  ///< "127.0.0.1:8080"
};

/// The group's part: the arbiter writes it.
struct Group {
    AtomicHalf target_workers;
    AtomicHalf degraded;
    AtomicHalf arbiter_pid;
    AtomicHalf agent_pid;
    AtomicWord last_generation;
    AtomicHalf agent_starts;
    AtomicHalf listener_count;
    ListenerRecord listeners[kMaxListeners];
    alignas(64) AtomicWord ring_head;
    AtomicWord crashes_kept;  ///< ever; the n-th is in record n % kKeptCrashes
};
static_assert(sizeof(Group) <= kPage);

/// What may become of a value after the start. See signalbox/context.hpp.
enum class SettingKind : std::uint32_t {
    fact = 1,     ///< it is as it is
    setting = 2,  ///< chosen by somebody at the start
    tunable = 3,  ///< may be changed while the group runs
};

inline constexpr std::size_t kSettingTextBytes = 320;
inline constexpr std::size_t kSettingOriginBytes = 96;

/// What a fact, a setting or a tunable is. Written once by the process that claimed the entry.
struct SettingDefinition {
    AtomicWord state;    ///< EntryState and claimant
    std::uint32_t kind;  ///< SettingKind
    std::uint32_t type;  ///< detail::SettingType
    std::uint32_t role;  ///< Role, of a tunable
    std::uint64_t min;   ///< of a tunable, as its word
    std::uint64_t max;
    std::uint64_t step;  ///< nanoseconds that a duration is a multiple of; else 1
    char name[64];
    char unit[16];
    char help[136];
    char defined_at[48];  ///< "file.cpp:12"
};

/// A fact, a setting or a tunable with its value, which belongs to the arbiter; `sequence` is odd while it writes.
struct SettingEntry : SettingDefinition {
    alignas(64) AtomicWord word;  ///< a tunable's value; all that Tunable::get() reads
    AtomicWord version;           ///< changes so far
    AtomicHalf sequence;
    AtomicHalf text_and_origin_bytes;  ///< text bytes | origin bytes << 16
    AtomicWord text[kSettingTextBytes / 8];
    AtomicWord origin[kSettingOriginBytes / 8];
};
static_assert(sizeof(SettingEntry) == 768);

/// An event, or an action's begin or end. `sequence` is 2n + 1 while the n-th record of the ring is written and
/// 2n + 2 when it is whole; a writer that dies in between leaves it odd, and readers skip it.
///
/// A seat has two rings of these, so that chatter does not wash away what matters: `begin`, `success` and what
/// is of severity debug goes to the action ring; failures, exceptions and the rest go to the event ring.
struct EventRecord {
    AtomicWord sequence;
    AtomicWord monotonic_ns;
    AtomicWord generation;
    AtomicWord duration_ns;  ///< of an action that has ended
    AtomicHalf pid;
    AtomicHalf action;                     ///< ties begin to end, within a generation; 0: none
    AtomicHalf nature;                     ///< severity | wire::EventKind << 8 | 1 << 16 if something was cut
    AtomicHalf sizes;                      ///< name bytes | text bytes << 8 | field bytes << 20
    std::atomic<std::uint64_t> bytes[42];  ///< name, text, fields (see detail/field_buffer.hpp): 336 bytes
};
static_assert(sizeof(EventRecord) == 384);

/// Code that a process had mapped, when it took its seat.
struct CrashModule {
    AtomicWord start;                     ///< where it was …
    AtomicWord end;                       ///< … and one behind
    AtomicWord file_address;              ///< what its ELF file calls `start`, as addr2line and nm do
    AtomicWord build_id[2];               ///< the first 16 bytes; zero: it has none
    std::atomic<std::uint64_t> path[12];  ///< the last 96 bytes, zero-padded
};

/// How a worker crashed. The module table is written when it takes the seat, the rest by its signal handler.
/// `sequence` is odd while somebody writes, and 0 as long as nothing has happened; `frame_count` grows afterwards, since
/// unwinding may not survive what the process has done to its stack. In the seat of a process it is 2 when it is whole,
/// in the kept record of the n-th crash 2n + 2.
struct CrashRecord {
    AtomicWord sequence;
    AtomicWord generation;
    AtomicHalf slot;
    AtomicHalf pid;
    AtomicHalf tid;
    AtomicHalf signal;
    AtomicHalf code;  ///< si_code, a signed number
    AtomicHalf module_count;
    AtomicHalf frame_count;
    AtomicHalf reserved;
    AtomicWord address;  ///< si_addr
    AtomicWord monotonic_ns;
    AtomicWord frames[kCrashFrames];  ///< where it crashed, then return addresses, innermost first
    ActivityRecord activity;          ///< as it was in the seat
    CrashModule modules[kCrashModules];
};
static_assert(sizeof(CrashRecord) <= kPage);

enum class ConnectionState : std::uint32_t { vacant = 0, idle = 1, reading = 2, handling = 3, writing = 4 };

/// A live connection, written by the event loop's thread. Each word says something by itself; `sequence` is odd while
/// the request's text is written. The peer's is there before the state is not vacant any more, and stays.
struct alignas(64) ConnectionRecord {
    AtomicHalf sequence;
    AtomicHalf state;  ///< ConnectionState
    AtomicWord since_monotonic_ns;
    AtomicHalf requests;  ///< answered so far
    AtomicHalf sizes;     ///< bytes of the peer's text | bytes of the request's << 8
    AtomicWord received_bytes;
    AtomicWord sent_bytes;
    std::atomic<std::uint64_t> peer[6];     ///< 48 bytes
    std::atomic<std::uint64_t> request[5];  ///< 40 bytes, of the last one's first line
};
static_assert(sizeof(ConnectionRecord) == 128);

}  // namespace signalbox::telemetry
