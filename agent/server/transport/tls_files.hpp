// The files of a certificate as bytes; and the last ones that were good, in memory that all workers share.
//
// A worker that starts while the files on disk are broken would otherwise have nothing to serve: the certificate that
// its siblings keep is in their memory only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "signalbox/transport.hpp"

namespace signalbox::server {

/// What the files hold; unchecked.
struct TlsFiles {
    std::string certificate;
    std::string key;
    std::string client_authority;  ///< empty when clients are not asked for certificates
    bool operator==(const TlsFiles&) const = default;
};

/// Throws std::invalid_argument that names the file and the reason.
TlsFiles read_tls_files(const TlsOptions& options);

/// Written by any worker, read by those that come later. No lock: a record is written into the next of a few places
/// and believed if its checksum is right, so that a writer that dies spoils its own record only.
class LastGoodFiles {
public:
    /// All three files together. Longer ones are not kept, and a worker that starts needs them on disk.
    static constexpr std::size_t kMost = 64 * 1024;

    /// Before the fork. Throws std::system_error when there is no memory.
    LastGoodFiles();
    ~LastGoodFiles();
    LastGoodFiles(const LastGoodFiles&) = delete;
    LastGoodFiles& operator=(const LastGoodFiles&) = delete;

    void keep(const TlsFiles& files);
    /// The newest; none if there are none yet.
    std::optional<TlsFiles> newest() const;

private:
    struct Place;
    struct Shared;
    static std::optional<TlsFiles> read(const Place& place);

    Shared* shared_;
};

}  // namespace signalbox::server
