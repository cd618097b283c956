#include "agent/server/encoder.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <stdexcept>

namespace signalbox::server {

namespace {

constexpr std::size_t kRoom = 16 * 1024;  ///< that output grows by

class GzipEncoder final : public Encoder {
public:
    explicit GzipEncoder(int level) {
        constexpr int kGzipWithLargestWindow = 15 + 16;
        constexpr int kMemoryLevel = 8;
        if (deflateInit2(&stream_, std::clamp(level, 1, 9), Z_DEFLATED, kGzipWithLargestWindow, kMemoryLevel,
                         Z_DEFAULT_STRATEGY) != Z_OK)
            throw std::bad_alloc();
    }
    ~GzipEncoder() override { deflateEnd(&stream_); }

    void write(std::string_view bytes, std::string& out) override { run(bytes, Z_SYNC_FLUSH, out); }
    void finish(std::string_view bytes, std::string& out) override { run(bytes, Z_FINISH, out); }

private:
    void run(std::string_view bytes, int flush, std::string& out) {
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
        stream_.avail_in = static_cast<uInt>(bytes.size());
        do {
            const std::size_t used = out.size();
            out.resize(used + kRoom);
            stream_.next_out = reinterpret_cast<Bytef*>(out.data() + used);
            stream_.avail_out = kRoom;
            deflate(&stream_, flush);
            out.resize(out.size() - stream_.avail_out);
        } while (stream_.avail_out == 0);
    }

    z_stream stream_{};
};

class ZstdEncoder final : public Encoder {
public:
    explicit ZstdEncoder(int level) : context_(ZSTD_createCCtx()) {
        if (!context_) throw std::bad_alloc();
        constexpr int kWindow = 17;  // 2^17 bytes
        ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, std::clamp(level, 1, 19));
        ZSTD_CCtx_setParameter(context_, ZSTD_c_windowLog, kWindow);
    }
    ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }

    void write(std::string_view bytes, std::string& out) override { run(bytes, ZSTD_e_flush, out); }
    void finish(std::string_view bytes, std::string& out) override { run(bytes, ZSTD_e_end, out); }

private:
    void run(std::string_view bytes, ZSTD_EndDirective directive, std::string& out) {
        ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
        std::size_t left = 0;
        do {
            const std::size_t used = out.size();
            out.resize(used + kRoom);
            ZSTD_outBuffer output{out.data() + used, kRoom, 0};
            left = ZSTD_compressStream2(context_, &output, &input, directive);
            out.resize(used + output.pos);
            if (ZSTD_isError(left)) throw std::runtime_error(ZSTD_getErrorName(left));
        } while (left > 0);
    }

    ZSTD_CCtx* const context_;
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(Coding coding, const CompressionOptions& options) {
    if (coding == Coding::zstd) return std::make_unique<ZstdEncoder>(options.zstd_level);
    return std::make_unique<GzipEncoder>(options.gzip_level);
}

}  // namespace signalbox::server
