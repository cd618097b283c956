// The GNU build id in an object file's notes, by which a file is known to be the very one that ran.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstring>
#include <span>

namespace signalbox::telemetry {

/// The id within a segment of notes that is mapped; empty if it is not in there. Names and contents are aligned
/// to 4 bytes (gabi, "Note Section"). Where a segment is aligned to 8, because of the one kind of note that is,
/// both come out the same for that kind, and the others in it are aligned to 4 nevertheless.
inline std::span<const std::byte> build_id_in(std::span<const std::byte> notes) {
    const auto aligned = [](std::size_t size) { return (size + 3) / 4 * 4; };
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        std::memcpy(&note, notes.data(), sizeof note);
        const std::size_t name = sizeof note;
        const std::size_t content = name + aligned(note.n_namesz);
        const std::size_t next = content + aligned(note.n_descsz);
        if (next > notes.size()) break;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            std::memcmp(notes.data() + name, "GNU", 4) == 0)
            return notes.subspan(content, note.n_descsz);
        notes = notes.subspan(next);
    }
    return {};
}

}  // namespace signalbox::telemetry
