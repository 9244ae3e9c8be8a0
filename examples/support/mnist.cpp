#include "support/mnist.h"

#include <filesystem>

#include "support/idx.h"

namespace examples {
namespace {

constexpr int64_t kMnistSide = 28, kMnistClasses = 10;

Batch read_part(const std::filesystem::path& folder, const std::string& part) {
  const auto images_path = (folder / (part + "-images-idx3-ubyte")).string();
  const auto labels_path = (folder / (part + "-labels-idx1-ubyte")).string();
  const auto images = read_idx(images_path, 3), labels = read_idx(labels_path, 1);
  TORCH_CHECK(images.size(1) == kMnistSide && images.size(2) == kMnistSide, images_path,
              ": images of ", images.size(1), "x", images.size(2), " pixels instead of ",
              kMnistSide, "x", kMnistSide, ".");
  TORCH_CHECK(images.size(0) > 0, images_path, ": no images in it.");
  TORCH_CHECK(images.size(0) == labels.size(0), images_path, ": ", images.size(0), " images, but ",
              labels.size(0), " labels in ", labels_path, "; fetch both again.");
  TORCH_CHECK(labels.max().item<int64_t>() < kMnistClasses, labels_path,
              ": a label is not one of 0..", kMnistClasses - 1, ".");
  return {images.flatten(1).to(torch::kFloat32) / 255, labels.to(torch::kInt64)};
}

std::string name_of(const std::filesystem::path& folder) {
  const auto path = folder.has_filename() ? folder : folder.parent_path();  // "mnist/"
  return path.has_filename() ? path.filename().string() : "MNIST";
}

}  // namespace

Dataset read_mnist(const std::string& folder) {
  return {name_of(folder), read_part(folder, "train"), read_part(folder, "t10k")};
}

}  // namespace examples
