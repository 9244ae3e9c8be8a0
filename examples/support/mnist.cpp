#include "support/mnist.h"

#include <torch/torch.h>

#include <filesystem>

namespace examples {
namespace {

using torch::data::datasets::MNIST;

/// LibTorch's reader leaves what a short file lacks uninitialised: look at the size first.
void check_size(const std::filesystem::path& path, uintmax_t expected) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  TORCH_CHECK(!error, path.string(), ": ", error.message(),
              "; --mnist names the folder with MNIST's four unzipped files.");
  TORCH_CHECK(size == expected, path.string(), ": expected ", expected, " bytes, found ", size,
              "; fetch and unzip MNIST's file again.");
}

void check_files(const std::filesystem::path& folder, const std::string& part, uintmax_t size) {
  constexpr uintmax_t kImageHeader = 16, kLabelHeader = 8, kPixels = 28 * 28;
  check_size(folder / (part + "-images-idx3-ubyte"), kImageHeader + size * kPixels);
  check_size(folder / (part + "-labels-idx1-ubyte"), kLabelHeader + size);
}

Batch read_part(const std::string& folder, MNIST::Mode mode) {
  const MNIST part(folder, mode);
  TORCH_CHECK(part.targets().max().item<int64_t>() < 10, "a label is not one of 0..9");
  return {part.images().flatten(1), part.targets()};
}

}  // namespace

Dataset read_mnist(const std::string& folder) {
  check_files(folder, "train", 60'000);
  check_files(folder, "t10k", 10'000);
  try {
    return {"MNIST", read_part(folder, MNIST::Mode::kTrain), read_part(folder, MNIST::Mode::kTest)};
  } catch (const c10::Error& error) {
    TORCH_CHECK(false, folder, ": not MNIST's files (", error.what_without_backtrace(),
                "); fetch and unzip them again.");
  }
}

}  // namespace examples
