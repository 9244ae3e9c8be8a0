// Archives that are broken: loading says so and changes nothing, or what was loaded steps on.

#include <gtest/gtest.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <sstream>

#include "fuzz/case.h"
#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"
#include "support/snapshot.h"

namespace natgrad::testing::archives_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kTruncations = 20, kFlips = 60, kMutations = 80;

/// A small classifier with an optimizer that has taken some steps.
struct Trained {
  explicit Trained(const NaturalGradientOptions& options)
      : W((0.5 * randn({3, 2}, 1)).requires_grad_()),
        V((0.5 * randn({3, 3}, 2)).requires_grad_()),
        optimizer(std::vector<Tensor>{W, V}, options) {
    for (int k = 0; k < 3; ++k) step();
  }

  void step() {
    optimizer.step([&] { return F::cross_entropy(x.mm(W.t()).tanh().mm(V.t()), y); });
  }
  std::string saved() const {
    std::ostringstream stream;
    torch::save(optimizer, stream);
    return stream.str();
  }

  Tensor W, V, x = randn({6, 2}, 3), y = torch::tensor({0, 1, 2, 0, 1, 2});
  NaturalGradient optimizer;
};

/// Named values of an archive.
struct Entry {
  std::string key;
  Tensor value;
};

std::vector<Entry> entries_of(const std::string& bytes) {
  torch::serialize::InputArchive archive;
  std::istringstream stream(bytes);
  archive.load_from(stream);
  std::vector<Entry> entries;
  for (const auto& key : archive.keys()) {
    Tensor value;
    if (archive.try_read(key, value, /*is_buffer=*/true)) entries.push_back({key, value});
  }
  return entries;
}

bool same(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].key != b[i].key || !same_bits(a[i].value, b[i].value)) return false;
  }
  return true;
}

struct Result {
  std::string failure;
  bool was_loaded = false;
};

/// Loads the bytes into an optimizer of its own.
Result load(const NaturalGradientOptions& options, const std::string& bytes) {
  Trained fresh(options);
  const auto before = entries_of(fresh.saved());
  const Snapshot model({fresh.W, fresh.V});
  try {
    std::istringstream stream(bytes);
    torch::load(fresh.optimizer, stream);
  } catch (const std::exception&) {
    model.expect_unchanged();
    return {same(entries_of(fresh.saved()), before) ? "" : "a load that threw changed the state"};
  }
  const Snapshot loaded({fresh.W, fresh.V});
  try {
    fresh.step();
  } catch (const std::exception& error) {
    loaded.expect_unchanged();
    const auto fault = fuzz::fault_of(error);
    return {fault.empty() ? "" : "the step after it: " + fault, true};
  }
  const bool is_finite = all_finite(fresh.W) && all_finite(fresh.V);
  return {is_finite ? "" : "the step after it left parameters that are not finite", true};
}

struct FuzzArchives : ::testing::TestWithParam<fuzz::NamedOptions> {};

TEST_P(FuzzArchives, TruncatedOnesAreRefused) {
  const fuzz::Quiet quiet;
  const auto bytes = Trained(GetParam().options).saved();
  for (int i = 0; i < kTruncations; ++i) {
    const auto length = bytes.size() * static_cast<size_t>(i) / kTruncations;
    const auto result = load(GetParam().options, bytes.substr(0, length));
    EXPECT_EQ(result.failure, "") << length << " of " << bytes.size() << " bytes";
    EXPECT_FALSE(result.was_loaded) << length << " of " << bytes.size() << " bytes";
  }
}

TEST_P(FuzzArchives, FlippedBitsAreRefusedOrHarmless) {
  const fuzz::Quiet quiet;
  const auto bytes = Trained(GetParam().options).saved();
  fuzz::Dice dice(1);
  for (int i = 0; i < kFlips; ++i) {
    auto flipped = bytes;
    const auto at = dice.below(bytes.size());
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << dice.below(8)));
    EXPECT_EQ(load(GetParam().options, flipped).failure, "") << "a bit of byte " << at;
  }
}

/// Another value under the same name.
Tensor mutated(const Tensor& value, fuzz::Dice& dice) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const auto numbers = std::vector<double>{0, -1, kNaN, 1e300, -1e300, 1e-300, 1e18, 1e9, 2, 3};
  switch (dice.below(6)) {
    case 0:
      return torch::cat({value.reshape({-1}), value.reshape({-1})});
    case 1:
      return value.to(dice.below(2) ? torch::kFloat : torch::kInt);
    case 2:
      return torch::empty({0}, value.options());
    case 3:
      return value.reshape({-1}).narrow(0, 0, value.numel() / 2).clone();
    default: {
      auto other = value.clone().reshape({-1});
      if (other.numel() == 0) return torch::ones({2}, value.options());
      const auto number = numbers[dice.below(numbers.size())];
      const bool fits = other.is_floating_point() || (std::isfinite(number) && number < 1e19);
      const auto which = static_cast<int64_t>(dice.below(static_cast<uint64_t>(other.numel())));
      if (fits && std::abs(number) < 9e18) other[which] = number;
      if (other.is_floating_point()) other[which] = number;
      return other.reshape(value.sizes());
    }
  }
}

std::string written(const std::string& original, const std::vector<Entry>& entries) {
  torch::serialize::InputArchive texts;
  std::istringstream stream(original);
  texts.load_from(stream);
  torch::serialize::OutputArchive archive;
  for (const auto& [key, value] : entries) archive.write(key, value, /*is_buffer=*/true);
  for (const auto& key : texts.keys()) {
    c10::IValue text;
    if (texts.try_read(key, text) && text.isString()) archive.write(key, text);
  }
  std::ostringstream out;
  archive.save_to(out);
  return out.str();
}

TEST_P(FuzzArchives, OtherValuesAreRefusedOrHarmless) {
  const fuzz::Quiet quiet;
  const auto bytes = Trained(GetParam().options).saved();
  const auto entries = entries_of(bytes);
  ASSERT_TRUE(load(GetParam().options, written(bytes, entries)).was_loaded);
  fuzz::Dice dice(2);
  for (int i = 0; i < kMutations; ++i) {
    auto changed = entries;
    const auto which = dice.below(entries.size());
    if (dice.below(8) == 0) {
      changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(which));
    } else {
      changed[which].value = mutated(changed[which].value, dice);
    }
    EXPECT_EQ(load(GetParam().options, written(bytes, changed)).failure, "")
        << "with another " << entries[which].key << ": "
        << (changed.size() == entries.size() ? changed[which].value : Tensor()) << " for "
        << entries[which].value;
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, FuzzArchives, ::testing::ValuesIn(fuzz::all_presets()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::archives_test
