#include "common/wire/histogram_codec.hpp"

#include <cassert>

namespace signalbox::wire {
namespace {

using sketch::ExponentialHistogram;

/// The outermost buckets that values of the covered range can fall into at a scale.
struct BucketRange {
    int first;
    int last;
    explicit BucketRange(int scale)
        : first(sketch::kFirstBucket >> (sketch::kFinestScale - scale)),
          last(sketch::kLastBucket >> (sketch::kFinestScale - scale)) {}
};

int read_scale(Reader& reader) {
    const std::size_t start = reader.offset();
    const std::int64_t scale = reader.signed_number();
    if (scale < sketch::kCoarsestScale || scale > sketch::kFinestScale)
        Reader::fail(start, "there is no histogram scale " + std::to_string(scale));
    return static_cast<int>(scale);
}

/// The parts that few histograms have. Each is written only if there is something in it.
enum Part : std::uint8_t {
    negative_buckets = 1,
    nans = 2,
    positive_infinities = 4,
    negative_infinities = 8,
    underflow = 16,
    overflow = 32,
    all_parts = 63,
};

std::uint8_t parts_of(const ExponentialHistogram& histogram) {
    const auto part = [](Part bit, bool present) { return present ? bit : 0; };
    return static_cast<std::uint8_t>(
        part(negative_buckets, !histogram.negative_buckets().empty()) | part(nans, histogram.nans() > 0) |
        part(positive_infinities, histogram.positive_infinities() > 0) |
        part(negative_infinities, histogram.negative_infinities() > 0) |
        part(underflow, histogram.underflow() > 0) | part(overflow, histogram.overflow() > 0));
}

std::uint8_t read_parts(Reader& reader) {
    const std::size_t start = reader.offset();
    const std::uint8_t parts = reader.byte();
    if (parts > all_parts) Reader::fail(start, "unknown flags of a histogram");
    return parts;
}

void write_run(Writer& writer, const sketch::BucketRun& run, [[maybe_unused]] int scale) {
    writer.number(run.size());
    if (run.empty()) return;
    assert(run.first() >= BucketRange(scale).first);
    assert(run.last() <= BucketRange(scale).last);
    writer.signed_number(run.first());
    run.with_counts([&writer](const auto& buckets) {
        for (std::size_t i = 0; i < buckets.size();) {
            writer.number(buckets[i]);
            if (buckets[i++] > 0) continue;
            std::uint64_t more = 0;
            for (; i < buckets.size() && buckets[i] == 0; ++i)
                ++more;
            writer.number(more);
        }
    });
}

/// Reads the buckets of one side of zero.
class RunReader {
public:
    RunReader(Reader& reader, ExponentialHistogram& histogram, std::size_t& allowance, bool negative)
        : reader_(reader), histogram_(histogram), allowance_(allowance), negative_(negative) {}

    void read() {
        const BucketRange range(histogram_.scale());
        const std::size_t start = reader_.offset();
        span_ = reader_.number_up_to(static_cast<std::uint64_t>(range.last - range.first) + 1);
        if (span_ > allowance_) Reader::fail(start, "the frame's histograms have too many buckets in all");
        allowance_ -= span_;
        if (span_ == 0 && negative_) Reader::fail(start, "a histogram has no negative buckets after all");
        if (span_ == 0) return;
        read_first(range);
        read_counts();
    }

private:
    void read_first(const BucketRange& range) {
        const std::size_t start = reader_.offset();
        const std::int64_t first = reader_.signed_number();
        // The span is at most the range's own length, so the subtraction stays in it.
        if (first < range.first || first > range.last + 1 - static_cast<int>(span_))
            Reader::fail(start, "buckets from " + std::to_string(first) + " lie outside the covered range");
        first_ = static_cast<int>(first);
    }

    void read_counts() {
        bool previous_was_empty = true;  // so that the first one may not be
        for (std::size_t i = 0; i < span_;) {
            const std::size_t start = reader_.offset();
            if (const std::uint64_t count = reader_.number_up_to(UINT64_MAX); count > 0) {
                if (count > UINT64_MAX - histogram_.count())
                    Reader::fail(start, "a histogram counts past 64 bits");
                add(first_ + static_cast<int>(i), count);
                previous_was_empty = false;
                ++i;
                continue;
            }
            if (previous_was_empty)
                Reader::fail(start, "a run of empty buckets is at the start or split in two");
            const std::size_t run = reader_.number_up_to(span_) + 1;
            if (run >= span_ - i)
                Reader::fail(start, "a run of empty buckets reaches the end of the histogram");
            previous_was_empty = true;
            i += run;
        }
    }

    void add(int index, std::uint64_t count) {
        if (negative_)
            histogram_.add_to_negative_bucket(index, count);
        else
            histogram_.add_to_bucket(index, count);
    }

    Reader& reader_;
    ExponentialHistogram& histogram_;
    std::size_t& allowance_;
    bool negative_;
    std::size_t span_ = 0;
    int first_ = 0;
};

std::uint64_t read_part(Reader& reader) {
    const std::size_t start = reader.offset();
    const std::uint64_t count = reader.number_up_to(UINT64_MAX);
    if (count == 0) Reader::fail(start, "a flag of a histogram announces nothing");
    return count;
}

}  // namespace

void write_histogram(Writer& writer, const ExponentialHistogram& histogram) {
    assert(histogram.scale() >= sketch::kCoarsestScale && histogram.scale() <= sketch::kFinestScale);
    const std::uint8_t parts = parts_of(histogram);
    writer.signed_number(histogram.scale());
    writer.byte(parts);
    writer.number(histogram.zeros());
    writer.real(histogram.sum());
    write_run(writer, histogram.buckets(), histogram.scale());
    if (parts & negative_buckets) write_run(writer, histogram.negative_buckets(), histogram.scale());
    if (parts & nans) writer.number(histogram.nans());
    if (parts & positive_infinities) writer.number(histogram.positive_infinities());
    if (parts & negative_infinities) writer.number(histogram.negative_infinities());
    if (parts & underflow) writer.number(histogram.underflow());
    if (parts & overflow) writer.number(histogram.overflow());
}

ExponentialHistogram read_histogram(Reader& reader, std::size_t& bucket_allowance) {
    ExponentialHistogram histogram(read_scale(reader));
    const std::uint8_t parts = read_parts(reader);
    histogram.add_zeros(reader.number_up_to(UINT64_MAX));
    double sum = 0;
    reader.real(sum);
    histogram.add_sum(sum);
    RunReader(reader, histogram, bucket_allowance, false).read();
    if (parts & negative_buckets) RunReader(reader, histogram, bucket_allowance, true).read();
    if (parts & nans) histogram.add_nans(read_part(reader));
    if (parts & positive_infinities) histogram.add_positive_infinities(read_part(reader));
    if (parts & negative_infinities) histogram.add_negative_infinities(read_part(reader));
    if (parts & underflow) histogram.mark_underflow(read_part(reader));
    if (parts & overflow) histogram.mark_overflow(read_part(reader));
    return histogram;
}

}  // namespace signalbox::wire
