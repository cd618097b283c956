#include "agent/inspect/symbols.hpp"

#include <cxxabi.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace signalbox::inspect {
namespace {

/// A separate file with debugging information might come from anywhere, also over the network: none is looked for.
int find_no_debug_file(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word,
                       char**) {
    return -1;
}

constexpr Dwfl_Callbacks kCallbacks = {.find_elf = dwfl_build_id_find_elf,
                                       .find_debuginfo = find_no_debug_file,
                                       .section_address = dwfl_offline_section_address,
                                       .debuginfo_path = nullptr};

/// -1 if it is not a file to be read. Looks at it before opening it: of a device, opening alone may do something.
int open_trusted(const std::string& path) {
    if (!path.starts_with('/')) return -1;
    const int place = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    if (place < 0) return -1;
    struct stat status {};
    int descriptor = -1;
    if (::fstat(place, &status) == 0 && S_ISREG(status.st_mode) &&
        (status.st_uid == 0 || status.st_uid == ::geteuid()))
        descriptor =
            ::open(fmt::format("/proc/self/fd/{}", place).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ::close(place);
    return descriptor;
}

/// Without parameters: what a template's function is called with may fill pages.
std::string demangled(const char* name) {
    constexpr std::size_t kLongest = 4096;
    if (std::strncmp(name, "_Z", 2) != 0 || ::strnlen(name, kLongest) == kLongest)
        return {name, ::strnlen(name, kLongest)};
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> text(
        abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
    return status == 0 && text ? text.get() : name;
}

std::string without_parameters(const std::string& function) {
    // The last '(' outside of nested ones that does not open "(anonymous namespace)" or "operator()".
    const std::size_t end = function.rfind(')');
    if (end == std::string::npos) return function;
    int depth = 0;
    for (std::size_t i = end + 1; i-- > 0;) {
        if (function[i] == ')') ++depth;
        if (function[i] == '(' && --depth == 0)
            return i == 0 || function.compare(i, 11, "(anonymous ") == 0 ? function : function.substr(0, i);
    }
    return function;
}

}  // namespace

class Symbols::File {
public:
    explicit File(const telemetry::ModuleInfo& module) {
        const int descriptor = module.has_build_id() ? open_trusted(module.path) : -1;
        if (descriptor < 0) return;
        dwfl_ = dwfl_begin(&kCallbacks);
        if (dwfl_) dwfl_report_begin(dwfl_);
        module_ = dwfl_ ? dwfl_report_offline(dwfl_, "module", module.path.c_str(), descriptor) : nullptr;
        if (!module_) ::close(descriptor);  // otherwise it is libdwfl's
        if (dwfl_) dwfl_report_end(dwfl_, nullptr, nullptr);
        if (module_ && !is_same(module)) module_ = nullptr;
    }
    ~File() {
        if (dwfl_) dwfl_end(dwfl_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    std::optional<Symbol> find(std::uint64_t file_address) {
        if (!module_ || file_address > UINT64_MAX - bias_) return {};
        const Dwarf_Addr address = file_address + bias_;
        GElf_Off offset = 0;
        GElf_Sym symbol;
        const char* name =
            dwfl_module_addrinfo(module_, address, &offset, &symbol, nullptr, nullptr, nullptr);
        if (!name || !is_function(symbol) || (symbol.st_size != 0 && offset >= symbol.st_size)) return {};
        Symbol found{without_parameters(demangled(name)), offset, {}, 0};
        if (Dwfl_Line* line = dwfl_module_getsrc(module_, address))
            if (const char* source = dwfl_lineinfo(line, nullptr, &found.line, nullptr, nullptr, nullptr))
                found.source = source;
        return found;
    }

private:
    /// Before the first function there are marks of the linker.
    static bool is_function(const GElf_Sym& symbol) {
        const auto type = GELF_ST_TYPE(symbol.st_info);
        return type == STT_FUNC || type == STT_GNU_IFUNC;
    }

    bool is_same(const telemetry::ModuleInfo& module) {
        if (!dwfl_module_getelf(module_, &bias_)) return false;
        const unsigned char* bytes = nullptr;
        GElf_Addr address = 0;
        const int length = dwfl_module_build_id(module_, &bytes, &address);
        if (length <= 0) return false;
        std::array<std::uint8_t, 16> id{};
        std::copy_n(bytes, std::min<std::size_t>(static_cast<std::size_t>(length), id.size()), id.begin());
        return id == module.build_id;
    }

    Dwfl* dwfl_ = nullptr;
    Dwfl_Module* module_ = nullptr;  ///< null: there is nothing to be found
    GElf_Addr bias_ = 0;
};

Symbols::Symbols() = default;
Symbols::~Symbols() = default;

std::optional<Symbol> Symbols::find(const telemetry::ModuleInfo& module, std::uint64_t address) {
    std::string key(module.build_id.begin(), module.build_id.end());
    key += module.path;
    auto found = files_.find(key);
    if (found == files_.end()) {
        if (files_.size() >= kMostFiles) return {};
        found = files_.emplace(std::move(key), std::make_unique<File>(module)).first;
    }
    return found->second->find(address);
}

}  // namespace signalbox::inspect
