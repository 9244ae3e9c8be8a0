#include "support/mnist.h"

#include <gtest/gtest.h>
#include <torch/torch.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

namespace natgrad::testing::mnist_test {
namespace {

namespace fs = std::filesystem;
using examples::read_mnist, torch::Tensor;

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

/// An IDX file of this tensor of bytes.
std::string idx_bytes(const Tensor& values) {
  auto bytes = big_endian(0x800 + static_cast<uint32_t>(values.dim()));
  for (const auto extent : values.sizes()) bytes += big_endian(static_cast<uint32_t>(extent));
  const auto flat = values.contiguous();
  return bytes.append(reinterpret_cast<const char*>(flat.data_ptr<uint8_t>()), flat.numel());
}

Tensor some_images(int64_t count) {
  return torch::randint(256, {count, 28, 28}, torch::kInt64).to(torch::kUInt8);
}

/// Four files of 3 + 2 examples, in a folder of each test's own.
class MnistTest : public ::testing::Test {
 protected:
  MnistTest()
      : folder(fs::path(::testing::TempDir()) /
               fmt::format("{}-{}", ::testing::UnitTest::GetInstance()->current_test_info()->name(),
                           getpid())) {
    fs::create_directories(folder);
    write(kImages, idx_bytes(images));
    write(kLabels, idx_bytes(labels));
    write("t10k-images-idx3-ubyte", idx_bytes(some_images(2)));
    write("t10k-labels-idx1-ubyte", idx_bytes(labels.slice(0, 0, 2)));
  }
  ~MnistTest() override { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }
  void write_zipped(const std::string& name, const std::string& bytes) const {
    auto* const file = gzopen((folder / (name + ".gz")).c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  }
  /// Reading the folder throws an error whose text contains this.
  void expect_complaint(const std::string& part) const {
    try {
      read_mnist(folder);
      FAIL() << "no complaint of " << part;
    } catch (const c10::Error& error) {
      EXPECT_NE(std::string(error.what_without_backtrace()).find(part), std::string::npos)
          << error.what_without_backtrace();
    }
  }

  static constexpr const char* kImages = "train-images-idx3-ubyte";
  static constexpr const char* kLabels = "train-labels-idx1-ubyte";
  const fs::path folder;
  const Tensor images = some_images(3);
  const Tensor labels = torch::tensor({7, 0, 9}, torch::kUInt8);
};

TEST_F(MnistTest, ReadsPixelsAndLabels) {
  const auto data = read_mnist(folder);
  EXPECT_TRUE(torch::allclose(data.train.data * 255, images.flatten(1).to(torch::kFloat32)));
  EXPECT_TRUE(data.train.target.equal(labels.to(torch::kInt64)));
  EXPECT_EQ(data.held_out.data.sizes(), (at::IntArrayRef{2, 28 * 28}));
  EXPECT_EQ(data.name, folder.filename());
}

TEST_F(MnistTest, ReadsZippedFilesAlike) {
  const auto plain = read_mnist(folder);
  write_zipped(kImages, idx_bytes(images));
  write_zipped(kLabels, idx_bytes(labels));
  fs::remove(folder / kImages);
  fs::remove(folder / kLabels);
  const auto zipped = read_mnist(folder.string() + "/");
  EXPECT_TRUE(zipped.train.data.equal(plain.train.data));
  EXPECT_TRUE(zipped.train.target.equal(plain.train.target));
  EXPECT_EQ(zipped.name, plain.name);
}

TEST_F(MnistTest, AMissingFileIsNamedWithItsRemedy) {
  fs::remove(folder / kLabels);
  expect_complaint((folder / kLabels).string());
  expect_complaint("script/setup --data");
}

TEST_F(MnistTest, ATruncatedFileIsRefused) {
  const auto bytes = idx_bytes(images);
  write(kImages, bytes.substr(0, bytes.size() - 1));
  expect_complaint("expected [3, 28, 28] bytes after the header, found 2351");
  write(kImages, bytes.substr(0, 7));
  expect_complaint("its header ends after 7 bytes");
  write(kImages, bytes + "x");
  expect_complaint("found 2353");
}

TEST_F(MnistTest, ATruncatedOrBrokenArchiveIsRefused) {
  write_zipped(kImages, idx_bytes(images));
  fs::remove(folder / kImages);
  const auto archive = folder / (std::string(kImages) + ".gz");
  std::string bytes(fs::file_size(archive), '\0');
  std::ifstream(archive, std::ios::binary).read(bytes.data(), bytes.size());

  write(archive.filename(), bytes.substr(0, bytes.size() / 2));
  expect_complaint("cannot be unzipped");
  expect_complaint("script/setup --data");
  bytes[bytes.size() / 2] ^= 0x55;
  write(archive.filename(), bytes);
  expect_complaint("cannot be unzipped");
}

TEST_F(MnistTest, AnotherKindOfFileIsRefused) {
  write(kImages, idx_bytes(labels));
  expect_complaint("begins with 2049 instead of 2051");
  write(kImages, idx_bytes(images.slice(2, 0, 14)));
  expect_complaint("images of 28x14 pixels instead of 28x28");
  write(kImages, idx_bytes(images.slice(0, 0, 0)));
  expect_complaint("no images");
}

TEST_F(MnistTest, CountsAndLabelsHaveToAgree) {
  write(kLabels, idx_bytes(labels.slice(0, 0, 2)));
  expect_complaint("3 images, but 2 labels");
  write(kLabels, idx_bytes(labels + 1));
  expect_complaint("a label is not one of 0..9");
}

}  // namespace
}  // namespace natgrad::testing::mnist_test
