// Names of functions for addresses in a module's file, out of process: from .symtab, .dynsym and, where the file has it,
// DWARF.
//
//     Symbols symbols;
//     if (const auto symbol = symbols.find(module, frame.offset)) fmt::print("{}\n", symbol->function);
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/telemetry/crash_record.hpp"

namespace signalbox::inspect {

/// All text is the file's, as it is there.
struct Symbol {
    std::string function;      ///< demangled, without its parameters
    std::uint64_t offset = 0;  ///< from the function's start
    std::string source;        ///< its source file; "": the file does not say
    int line = 0;
};

/// What a module's path names is opened only if it is a regular file that belongs to root or to the caller, and it is
/// believed only if its build id is the module's: the path comes from a process that may be broken, and the file may have
/// been replaced since. At most kMostFiles are opened.
class Symbols {
public:
    static constexpr std::size_t kMostFiles = 64;

    Symbols();
    ~Symbols();
    Symbols(const Symbols&) = delete;
    Symbols& operator=(const Symbols&) = delete;

    /// `address` as the module's file counts (CrashFrame::offset).
    std::optional<Symbol> find(const telemetry::ModuleInfo& module, std::uint64_t address);

private:
    class File;
    std::map<std::string, std::unique_ptr<File>> files_;  ///< by build id and path
};

}  // namespace signalbox::inspect
