// A worker's side of a TLS listener: the context that new handshakes use, kept up with the files and with the
// ticket keys of the group.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>

#include "agent/server/transport/ticket_keys.hpp"
#include "agent/server/transport/tls_context.hpp"

namespace signalbox::server {

class TlsServer {
public:
    /// All outlive it. When the files on disk are of no use, the last good ones are served, and look_after() says so.
    /// Throws as read_tls_files() and make_tls_context() do when there are none either.
    TlsServer(const TlsOptions& options, TicketKeys& keys, LastGoodFiles& last_good);
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    const TlsOptions& options() const { return options_; }
    SSL_CTX* context() const { return context_.get(); }

    enum class Reload {
        none,     ///< nothing new to say
        done,     ///< `message` describes the certificate
        refused,  ///< `message` says why; the old one stays
    };
    struct Outcome {
        Reload reload = Reload::none;
        std::string message{};
    };
    /// To be called once a second. Files that have just changed are read when they stayed the same from one
    /// call to the next, since a certificate and its key are not replaced in one moment.
    Outcome look_after(std::uint64_t now);

private:
    /// What tells one version of a file from another.
    struct Stamp {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        timespec modified{};
        bool operator==(const Stamp& other) const;
    };
    using Stamps = std::array<Stamp, 3>;
    Stamps stamps() const;
    TlsContext load();
    TlsContext load_or_fall_back();

    const TlsOptions& options_;
    TicketKeys& keys_;
    LastGoodFiles& last_good_;
    TlsCallbackState state_;
    Stamps seen_;            ///< a second ago
    Stamps judged_;          ///< when they were last read, for better or worse
    std::string complaint_;  ///< about the files at the start, until it is said
    TlsContext context_;
};

}  // namespace signalbox::server
