// Session tickets under the keys that all workers share (RFC 5077, section 4, as OpenSSL lays them out; those of
// TLS 1.3 are the same on the inside).
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

#include "agent/server/transport/tls_context.hpp"

namespace signalbox::server {

namespace {

// What OpenSSL wants to hear.
constexpr int kFailed = -1;
constexpr int kUnknownKey = 0;  ///< a full handshake, then
constexpr int kGood = 1;
constexpr int kGoodButOld = 2;  ///< a new ticket, under the newest key

bool set_authentication(EVP_MAC_CTX* mac, const TicketKey& key) {
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                          const_cast<unsigned char*>(key.authentication.data()),
                                          key.authentication.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

int seal(const TlsCallbackState& state, const TicketKeyRing& tickets, unsigned char* name, unsigned char* iv,
         EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const TicketKey& key = tickets.keys[0];
    std::ranges::copy(key.name, name);
    const bool good = RAND_bytes(iv, EVP_CIPHER_get_iv_length(state.cipher.get())) == 1 &&
                      EVP_EncryptInit_ex2(cipher, state.cipher.get(), key.cipher.data(), iv, nullptr) == 1 &&
                      set_authentication(mac, key);
    return good ? kGood : kFailed;
}

int open(const TlsCallbackState& state, const TicketKeyRing& tickets, const unsigned char* name,
         const unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const auto found = tickets.find(std::span<const unsigned char, 16>(name, 16));
    if (!found) return kUnknownKey;
    const TicketKey& key = tickets.keys[*found];
    if (EVP_DecryptInit_ex2(cipher, state.cipher.get(), key.cipher.data(), iv, nullptr) != 1 ||
        !set_authentication(mac, key))
        return kFailed;
    return *found == 0 ? kGood : kGoodButOld;
}

int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
               int sealing) {
    auto& state = *static_cast<TlsCallbackState*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const auto use = [&](const TicketKeyRing& tickets) {
        return sealing ? seal(state, tickets, name, iv, cipher, mac)
                       : open(state, tickets, name, iv, cipher, mac);
    };
    if (std::this_thread::get_id() == state.loop) return use(state.tickets);
    const std::lock_guard lock(state.off_loop);
    return use(state.tickets_off_loop);
}

}  // namespace

bool TlsCallbackState::renew_tickets(const TicketKeys& keys) {
    const bool renewed = keys.copy_to(tickets);
    if (tickets_off_loop.generation == tickets.generation) return renewed;  // written by this thread only
    const std::lock_guard lock(off_loop);
    tickets_off_loop = tickets;
    return renewed;
}

void use_shared_tickets(SSL_CTX& context, TlsCallbackState& state) {
    SSL_CTX_set_app_data(&context, &state);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, ticket_key);
}

}  // namespace signalbox::server
