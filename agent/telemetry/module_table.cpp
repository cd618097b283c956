#include "agent/telemetry/module_table.hpp"

#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string>

#include "agent/telemetry/build_id.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
using BuildId = std::array<std::uint64_t, 2>;

/// As much of an id as a record holds; zero if there is none.
BuildId stored(std::span<const std::byte> bytes) {
    BuildId id{};
    if (!bytes.empty()) std::memcpy(id.data(), bytes.data(), std::min(bytes.size(), sizeof id));
    return id;
}

std::string path_of(const dl_phdr_info& info, bool program) {
    if (!program) return info.dlpi_name ? info.dlpi_name : "";
    std::array<char, 4096> path;
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

void write_path(std::atomic<std::uint64_t> (&to)[12], std::string_view path) {
    std::array<std::uint64_t, 12> words{};
    if (path.size() > sizeof words) path.remove_prefix(path.size() - sizeof words);
    std::memcpy(words.data(), path.data(), path.size());
    for (std::size_t i = 0; i < words.size(); ++i)
        to[i].store(words[i], relaxed);
}

struct Table {
    std::span<CrashModule> modules;
    std::uint32_t count = 0;
};

int add_module(dl_phdr_info* info, std::size_t, void* argument) {
    Table& table = *static_cast<Table*>(argument);
    std::uint64_t first = UINT64_MAX;  // as the file calls it
    std::uint64_t end = 0;
    BuildId id{};
    for (const ElfW(Phdr) & part : std::span(info->dlpi_phdr, info->dlpi_phnum)) {
        if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0) {
            first = std::min<std::uint64_t>(first, part.p_vaddr);
            end = std::max<std::uint64_t>(end, part.p_vaddr + part.p_memsz);
        }
        if (part.p_type == PT_NOTE && id == BuildId{})
            id = stored(build_id_in(
                {reinterpret_cast<const std::byte*>(info->dlpi_addr + part.p_vaddr), part.p_memsz}));
    }
    if (end <= first) return 0;
    CrashModule& module = table.modules[table.count];
    module.start.store(info->dlpi_addr + first, relaxed);
    module.end.store(info->dlpi_addr + end, relaxed);
    module.file_address.store(first, relaxed);
    module.build_id[0].store(id[0], relaxed);
    module.build_id[1].store(id[1], relaxed);
    write_path(module.path, path_of(*info, table.count == 0));
    return ++table.count == table.modules.size() ? 1 : 0;
}

}  // namespace

std::uint32_t write_module_table(CrashModule (&modules)[kCrashModules]) {
    Table table{modules};
    ::dl_iterate_phdr(add_module, &table);
    return table.count;
}

}  // namespace signalbox::telemetry
