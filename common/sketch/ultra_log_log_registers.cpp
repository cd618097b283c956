#include "common/sketch/ultra_log_log_registers.hpp"

#include <cassert>
#include <cstring>

namespace signalbox::sketch {
namespace {

/// 16 registers. GCC's and clang's vectors become SSE2 or NEON, whichever the target has, or plain integers.
using Block = std::uint8_t __attribute__((vector_size(16)));
using Words = std::uint64_t __attribute__((vector_size(16)));
/// A word of a shared mapping that is otherwise accessed as bytes.
using SharedWord = std::uint64_t __attribute__((may_alias));

Words load(const std::uint8_t* from) {
    Words words;
    std::memcpy(&words, from, sizeof words);
    return words;
}

void store(std::uint8_t* into, Words words) {
    std::memcpy(into, &words, sizeof words);
}

Words load(const std::atomic<std::uint8_t>* from) {
    const auto* words = reinterpret_cast<const SharedWord*>(from);
    return Words{__atomic_load_n(words, __ATOMIC_RELAXED), __atomic_load_n(words + 1, __ATOMIC_RELAXED)};
}

void store(std::atomic<std::uint8_t>* into, Words words) {
    auto* shared = reinterpret_cast<SharedWord*>(into);
    __atomic_store_n(shared, words[0], __ATOMIC_RELAXED);
    __atomic_store_n(shared + 1, words[1], __ATOMIC_RELAXED);
}

bool any_bit(Words words) {
    return (words[0] | words[1]) != 0;
}

/// merge_register() on each. What `low` tells of moves by 0, 1 or 2 places, or out of sight.
Block merge(Block a, Block b) {
    const Block high = a > b ? a : b;
    const Block low = a ^ b ^ high;
    const Block distance = (high >> 2) - (low >> 2);
    const Block unmoved = (distance == 0) & (low & 3);
    const Block by_one = (distance == 1) & (2 | (low >> 1 & 1));
    const Block by_two = (distance == 2) & 1;
    return high | unmoved | by_one | by_two;
}

template <typename Register>
void merge_blocks(Register* into, const Register* from, std::size_t count) {
    assert(count % sizeof(Block) == 0);
    for (std::size_t i = 0; i < count; i += sizeof(Block)) {
        const Words theirs = load(from + i);
        if (!any_bit(theirs)) continue;
        const Words ours = load(into + i);
        if (!any_bit(ours ^ theirs)) continue;
        store(into + i,
              reinterpret_cast<Words>(merge(reinterpret_cast<Block>(ours), reinterpret_cast<Block>(theirs))));
    }
}

}  // namespace

void merge_registers(std::uint8_t* into, const std::uint8_t* from, std::size_t count) noexcept {
    merge_blocks(into, from, count);
}

void merge_registers(std::atomic<std::uint8_t>* into, const std::atomic<std::uint8_t>* from,
                     std::size_t count) noexcept {
    merge_blocks(into, from, count);
}

void copy_registers(std::uint8_t* into, const std::atomic<std::uint8_t>* from, std::size_t count) noexcept {
    assert(count % sizeof(Block) == 0);
    for (std::size_t i = 0; i < count; i += sizeof(Block))
        store(into + i, load(from + i));
}

bool registers_can_occur(const std::uint8_t* registers, unsigned precision) noexcept {
    const auto no_zero = static_cast<std::uint8_t>(4 * precision);
    const auto one_zero = static_cast<std::uint8_t>(no_zero + 4);
    const auto two_zeros = static_cast<std::uint8_t>(no_zero + 8);
    Block all = ~Block{};
    for (std::size_t i = 0; i < register_count(precision); i += sizeof(Block)) {
        const auto block = reinterpret_cast<Block>(load(registers + i));
        const Block can = (block == 0) | (block == no_zero) | (block == one_zero) |
                          (block == static_cast<std::uint8_t>(one_zero + 2)) | (block >= two_zeros);
        all &= can;
    }
    return !any_bit(~reinterpret_cast<Words>(all));
}

}  // namespace signalbox::sketch
