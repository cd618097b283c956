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
    /// Both outlive it. Throws as make_tls_context() does.
    TlsServer(const TlsOptions& options, TicketKeys& keys);
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

    const TlsOptions& options_;
    TicketKeys& keys_;
    TlsCallbackState state_;
    Stamps seen_;    ///< a second ago
    Stamps judged_;  ///< when they were last read, for better or worse
    TlsContext context_;
};

}  // namespace signalbox::server
