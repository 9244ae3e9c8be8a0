// save_checkpoint and load_checkpoint: what they hold, what they refuse, and that a file is there
// whole whenever the process ends.

#include <natgrad/optim/checkpoint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <torch/script.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "optim/resume_cases.h"
#include "optim/whole_file.h"
#include "support/oracles.h"
#include "support/temporary_folder.h"

namespace natgrad::testing::checkpoint_file_test {
namespace {

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string saved(const torch::optim::Optimizer& optimizer) {
  std::ostringstream stream;
  torch::save(optimizer, stream);
  return stream.str();
}

/// An archive with the end that save_checkpoint gives its own.
std::string sealed(const std::string& archive) {
  detail::Digest digest;
  digest.add(archive.data(), archive.size());
  const std::array<uint64_t, 2> numbers = {archive.size(), digest.value()};
  return archive + "natgrad checkpt\n" +
         std::string(reinterpret_cast<const char*>(numbers.data()), sizeof(numbers));
}

/// What a failed load must leave as it was.
struct Snapshot {
  explicit Snapshot(const ResumeRun& run)
      : values(run.values()),
        state(saved(*run.optimizer)),
        generator(at::globalContext().defaultGenerator(torch::kCPU).get_state()) {}
  bool operator==(const Snapshot& other) const {
    return identical(values, other.values) && state == other.state &&
           identical(generator, other.generator);
  }
  Tensor values;
  std::string state;
  Tensor generator;
};

/// Two runs at different places; the first is in the file.
class CheckpointFileTest : public ::testing::Test {
 protected:
  CheckpointFileTest() {
    first.train(0, 3);
    save_checkpoint(first.model, *first.optimizer, path, {{"epoch", torch::tensor(3)}});
    second.train(0, 1);
  }
  void expect_refused(const std::string& needle) {
    const Snapshot before(second);
    std::string message;
    try {
      load_checkpoint(second.model, *second.optimizer, path);
    } catch (const c10::Error& error) {
      message = error.what_without_backtrace();
    }
    EXPECT_NE(message.find(needle), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_TRUE(Snapshot(second) == before) << message;
  }
  const TemporaryFolder folder;
  const std::string path = folder / "run.checkpoint";
  ResumeRun first{NaturalGradientOptions()}, second{NaturalGradientOptions()};
};

TEST_F(CheckpointFileTest, NotesComeBack) {
  const auto notes = load_checkpoint(second.model, *second.optimizer, path);
  EXPECT_EQ(notes.at("epoch").item<int64_t>(), 3);
  EXPECT_EQ(notes.size(), 1u);
}

TEST_F(CheckpointFileTest, ModelsAreTakenAsTheyAreAtHand) {
  const std::shared_ptr<torch::nn::SequentialImpl> pointer = second.model.ptr();
  load_checkpoint(pointer, *second.optimizer, path);
  EXPECT_TRUE(identical(second.values(), first.values()));
  load_checkpoint(*second.model, *second.optimizer, path);
  const torch::nn::Sequential empty(nullptr);
  expect_error([&] { load_checkpoint(empty, *second.optimizer, path); }, "construct the module");
  const std::shared_ptr<torch::nn::Module> null;
  expect_error([&] { save_checkpoint(null, *second.optimizer, path); }, "construct the module");
}

// To the bit where LibTorch runs the module alike: it fuses ops from a module's second call on.
TEST_F(CheckpointFileTest, ScriptedModulesComeBack) {
  const auto make = [] {
    torch::jit::Module module("m");
    module.register_parameter("w", randn({3, 5}, 1).requires_grad_(), false);
    module.register_buffer("scale", torch::ones({1}, torch::kDouble));
    module.define("def forward(self, x):\n  return self.scale * x.mm(self.w.t())\n");
    return module;
  };
  auto one = make(), other = make();
  const auto x = randn({6, 5}, 2), labels = torch::arange(6).remainder(3);
  NaturalGradient optimizer({one.attr("w").toTensor()}), another({other.attr("w").toTensor()});
  optimizer.step(
      [&] { return torch::nn::functional::cross_entropy(one.forward({x}).toTensor(), labels); });
  one.attr("scale").toTensor().fill_(2);
  save_checkpoint(one, optimizer, path);
  load_checkpoint(other, another, path);
  EXPECT_TRUE(identical(one.attr("w").toTensor(), other.attr("w").toTensor()));
  EXPECT_EQ(other.attr("scale").toTensor().item<double>(), 2);
  EXPECT_EQ(saved(another), saved(optimizer));
}

// A learnt weight of a loss, say.
TEST_F(CheckpointFileTest, ParametersOfTheOptimizerAloneAreSavedToo) {
  const auto make = [](const ResumeRun& run, const Tensor& extra) {
    auto parameters = run.model->parameters();
    parameters.push_back(extra);
    return NaturalGradient(parameters);
  };
  auto one = torch::full({1}, 2.0, torch::kDouble).requires_grad_();
  auto other = torch::zeros({1}, torch::kDouble).requires_grad_();
  save_checkpoint(first.model, make(first, one), path);
  auto optimizer = make(second, other);
  load_checkpoint(second.model, optimizer, path);
  EXPECT_EQ(other.item<double>(), 2);
}

// ---- What is refused. ----

TEST_F(CheckpointFileTest, EveryTruncationIsRefused) {
  const auto whole = bytes_of(path);
  for (size_t size = 0; size < whole.size(); size += 1 + size / 7) {
    write_bytes(path, whole.substr(0, size));
    expect_refused("its end is missing");
  }
  write_bytes(path, whole.substr(0, whole.size() - 1));
  expect_refused("its end is missing");
}

TEST_F(CheckpointFileTest, EveryAlteredByteIsRefused) {
  const auto whole = bytes_of(path);
  constexpr size_t kSeal = 32;
  for (size_t place = 0; place < whole.size() - kSeal; place += 97) {
    auto altered = whole;
    altered[place] = static_cast<char>(altered[place] ^ 4);
    write_bytes(path, altered);
    expect_refused("was altered");
  }
  write_bytes(path, whole.substr(0, 10) + whole.substr(11));
  expect_refused("was altered");
}

TEST_F(CheckpointFileTest, ForeignFilesAreRefused) {
  write_bytes(path, "epoch,loss\n1,0.5\n");
  expect_refused("is no checkpoint");
  write_bytes(path, saved(*first.optimizer));
  expect_refused("is no checkpoint");
  std::filesystem::remove(path);
  expect_refused("there is no checkpoint");
  std::filesystem::create_directory(path);
  expect_refused("checkpoint");
}

// LibTorch calls an archive's __setstate__ as it loads it: here, one that moves the generator.
TEST_F(CheckpointFileTest, AnArchiveWithFunctionsIsRefusedBeforeTheyRun) {
  torch::jit::Module intruder("Intruder");
  intruder.define(R"(
    def __getstate__(self) -> int:
        return 1
    def __setstate__(self, state: int) -> None:
        torch.manual_seed(state)
  )");
  std::ostringstream archive;
  intruder.save(archive);
  write_bytes(path, sealed(archive.str()));
  expect_refused("holds functions");
}

TEST_F(CheckpointFileTest, AnotherModelIsRefused) {
  torch::nn::Sequential other(torch::nn::Linear(5, 6), torch::nn::Tanh(), torch::nn::Linear(6, 3));
  other->to(torch::kDouble);
  NaturalGradient optimizer(other->parameters());
  expect_error([&] { load_checkpoint(other, optimizer, path); }, "is of another model");
  second.model->to(torch::kFloat);
  NaturalGradient single(second.model->parameters());
  expect_error([&] { load_checkpoint(second.model, single, path); }, "Double of [6, 5]");
}

TEST_F(CheckpointFileTest, AnotherOptimizerIsRefused) {
  const auto before = second.values();
  second.optimizer = std::make_unique<NaturalGradient>(
      second.model->parameters(), NaturalGradientOptions().damping(Proximal().momentum(0.5)));
  expect_refused("whose damping is Proximal(momentum=0.95");
  EXPECT_TRUE(identical(second.values(), before));
}

TEST_F(CheckpointFileTest, NothingIsSavedWithinAStep) {
  const auto before = bytes_of(path);
  const auto save = [&] {
    first.optimizer->step([&] {
      save_checkpoint(first.model, *first.optimizer, path);
      return first.values().sum();
    });
  };
  expect_error(save, "within a step's closure");
  EXPECT_EQ(bytes_of(path), before);
}

// ---- Where it cannot be written the old file stays. ----

TEST_F(CheckpointFileTest, WhatCannotBeWrittenSaysSoAndLeavesNothing) {
  const auto save = [&](const std::string& to) {
    save_checkpoint(first.model, *first.optimizer, to);
  };
  expect_error([&] { save(folder / "none/run"); }, "No such file");
  expect_error([&] { save(folder.path()); }, "it is a folder");
  expect_error([&] { save("/dev/null"); }, "no regular file");
  expect_error([&] { save("/proc/run"); }, "cannot be saved");
  EXPECT_FALSE(std::filesystem::exists(folder.path() + ".partial"));
}

TEST_F(CheckpointFileTest, OnAFullDiskTheOldFileStays) {
  const auto before = bytes_of(path);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // where a file may have a thousand bytes
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int told = 2;
    try {
      save_checkpoint(first.model, *first.optimizer, path);
    } catch (const c10::Error& error) {
      const std::string message = error.what_without_backtrace();
      told = message.find("File too large") != std::string::npos ? 0 : 1;
    }
    _exit(told);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
}

TEST_F(CheckpointFileTest, TwoThatSaveAtOnceDoNotMix) {
  detail::WholeFile other(path);
  expect_error([&] { save_checkpoint(first.model, *first.optimizer, path); }, "being saved to");
  other.write("whole", 5);
  other.commit();
  EXPECT_EQ(bytes_of(path), "whole");
  save_checkpoint(first.model, *first.optimizer, path);
  load_checkpoint(second.model, *second.optimizer, path);
}

TEST_F(CheckpointFileTest, ALinkStaysAndWhatItNamesIsReplaced) {
  std::filesystem::create_symlink("run.checkpoint", folder / "latest");
  save_checkpoint(first.model, *first.optimizer, folder / "latest", {{"k", torch::tensor(9)}});
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "latest"));
  EXPECT_EQ(load_checkpoint(second.model, *second.optimizer, path).count("k"), 1u);
}

// ---- Killed at any moment. ----

/// A process that saves to `path` again and again, from when this was made until it is killed.
class Saving {
 public:
  explicit Saving(const std::string& path) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) return;
    child_ = fork();
    if (child_ == 0) {
      dup2(pipe[1], STDOUT_FILENO);
      execl(NATGRAD_CHECKPOINT_PROCESS, NATGRAD_CHECKPOINT_PROCESS, "save", path.c_str(), nullptr);
      _exit(127);
    }
    ::close(pipe[1]);
    char first = 0;
    has_begun_ = ::read(pipe[0], &first, 1) == 1;
    ::close(pipe[0]);
  }
  bool has_begun() const { return has_begun_; }
  void kill() {
    ::kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_ = -1;
  bool has_begun_ = false;
};

/// Saves in a forked process without an exec, which starts at once: LibTorch on one thread runs in
/// it as in any other.
pid_t fork_saving(const ResumeRun& run, const std::string& path, int64_t from) {
  const pid_t child = fork();
  if (child != 0) return child;
  for (int64_t k = from;; ++k) {
    const torch::NoGradGuard no_grad;
    for (auto& p : run.model->parameters()) p.fill_(static_cast<double>(k));
    save_checkpoint(run.model, *run.optimizer, path, {{"k", torch::tensor(k)}});
  }
}

/// Whether the file is one that was saved whole: all its numbers are its note's. Answers the note.
int64_t check_whole(const std::string& path) {
  ResumeRun loaded({});
  const auto notes = load_checkpoint(loaded.model, *loaded.optimizer, path);
  const auto k = notes.at("k").item<int64_t>();
  EXPECT_TRUE(loaded.values().eq(static_cast<double>(k)).all().item<bool>());
  return k;
}

TEST(CheckpointKillTest, KilledAtAnyMomentAWholeFileIsThere) {
  constexpr int kKills = 300;
  constexpr int64_t kLongest = 20'000;  // microseconds, some saves
  const TemporaryFolder folder;
  const auto path = folder / "run";
  torch::set_num_threads(1);
  ResumeRun run({});
  {
    const torch::NoGradGuard no_grad;
    for (auto& p : run.model->parameters()) p.zero_();
  }
  save_checkpoint(run.model, *run.optimizer, path, {{"k", torch::tensor(0)}});
  int64_t last = 0;
  int amid = 0;  // kills that left a partial file behind
  for (int kill = 0; kill < kKills; ++kill) {
    const auto child = fork_saving(run, path, last + 1);
    ASSERT_GT(child, 0);
    std::this_thread::sleep_for(std::chrono::microseconds(kLongest * (kill + 1) / kKills));
    ::kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    amid += std::filesystem::exists(path + ".partial");
    const auto now = check_whole(path);
    ASSERT_GE(now, last);
    last = now;
  }
  constexpr int kSome = 5;  // on a busy machine a save may take longer than most wait
  EXPECT_GE(last, kSome);   // saves went through
  EXPECT_GE(amid, kSome);   // and were cut short
  std::printf("%d kills, %d amid a save, %d files\n", kKills, amid, static_cast<int>(last));
}

TEST(CheckpointKillTest, OfAProcessOfItsOwn) {
  const TemporaryFolder folder;
  for (int kill = 1; kill <= 3; ++kill) {
    Saving saving(folder / "run");
    ASSERT_TRUE(saving.has_begun());
    std::this_thread::sleep_for(std::chrono::milliseconds(7 * kill));
    saving.kill();
    check_whole(folder / "run");
  }
}

}  // namespace
}  // namespace natgrad::testing::checkpoint_file_test
