#include "optim/preserved.h"

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::preserved_test {
namespace {

/// A module with parameters, buffers and modes, some gradients defined and some not.
struct PreservedTest : ::testing::Test {
  torch::nn::Sequential model = classifier(/*noisy=*/true);
  std::vector<Tensor> parameters = model->parameters();

  PreservedTest() {
    parameters[0].mutable_grad() = randn(parameters[0].sizes(), 1);
    parameters[2].mutable_grad() = torch::full_like(parameters[2], std::nan(""));
    parameters[1].requires_grad_(false);
    model[3]->eval();
  }

  /// What a step preserves.
  void keep(Preserved& before) const {
    before.parameters(parameters).module(Model(model.ptr())).generators(torch::kCPU);
  }
  void change_everything() {
    const torch::NoGradGuard no_grad;
    for (auto& p : parameters) {
      p.add_(1);
      p.requires_grad_(!p.requires_grad());
    }
    parameters[0].mutable_grad().mul_(3);
    parameters[2].mutable_grad() = Tensor();
    parameters[3].mutable_grad() = torch::ones_like(parameters[3]);
    for (auto& buffer : model->buffers()) buffer.add_(1);
    model->eval();
    model[0]->train();
    torch::rand({5});
  }
};

TEST_F(PreservedTest, PutsEverythingBackUnlessCommitted) {
  const Snapshot before(parameters, model.ptr());
  {
    Preserved kept;
    keep(kept);
    change_everything();
  }
  before.expect_unchanged();
}

TEST_F(PreservedTest, PutsEverythingBackWhenAnExceptionPasses) {
  const Snapshot before(parameters, model.ptr());
  const auto fail = [&] {
    Preserved kept;
    keep(kept);
    change_everything();
    throw std::runtime_error("mine");
  };
  EXPECT_THROW(fail(), std::runtime_error);
  before.expect_unchanged();
}

TEST_F(PreservedTest, CommitKeepsEverything) {
  const auto old = parameters[0].detach().clone();
  {
    Preserved kept;
    keep(kept);
    change_everything();
    kept.commit();
  }
  EXPECT_TRUE(same_bits(parameters[0], old + 1));
  EXPECT_FALSE(parameters[0].requires_grad());
  EXPECT_TRUE(parameters[3].grad().defined());
  EXPECT_FALSE(parameters[2].grad().defined());
  EXPECT_FALSE(model[2]->is_training());
}

TEST_F(PreservedTest, KeepsTheGradientTensorsIdentity) {
  const auto gradient = parameters[0].grad();
  {
    Preserved kept;
    keep(kept);
    parameters[0].mutable_grad() = Tensor();
  }
  EXPECT_TRUE(parameters[0].grad().is_same(gradient));
}

TEST_F(PreservedTest, WithoutAModuleItsBuffersAreNotTouched) {
  const auto buffer = model->buffers()[0];
  const auto old = buffer.clone();
  {
    Preserved kept;
    kept.parameters(parameters).module(Model()).exchange_buffers(Model());
    buffer.add_(1);
  }
  EXPECT_TRUE(same_bits(buffer, old + 1));
}

TEST_F(PreservedTest, UnchangedParametersAreNotWritten) {
  // A write would bump the version, and with it break graphs that saved the parameter.
  const auto version = parameters[0]._version();
  {
    Preserved kept;
    keep(kept);
  }
  EXPECT_EQ(parameters[0]._version(), version);
}

TEST_F(PreservedTest, RestoresParametersWithNaN) {
  {
    const torch::NoGradGuard no_grad;
    parameters[0].view(-1)[0] = std::nan("");
  }
  const Snapshot before(parameters, model.ptr());
  {
    Preserved kept;
    keep(kept);
    change_everything();
  }
  before.expect_unchanged();
}

TEST_F(PreservedTest, RestoresStridedParameters) {
  const auto strided = randn({4, 6}, 2).t().slice(0, 0, 6, 2).requires_grad_();
  const Snapshot before({strided});
  {
    Preserved kept;
    kept.parameters({strided});
    const torch::NoGradGuard no_grad;
    Tensor(strided).mul_(2);
  }
  before.expect_unchanged();
}

TEST_F(PreservedTest, TheGeneratorGoesOnFromWhereItWas) {
  torch::manual_seed(11);
  const auto expected = torch::rand({3});
  torch::manual_seed(11);
  {
    Preserved kept;
    kept.generators(torch::kCPU);
    torch::rand({7});
  }
  EXPECT_TRUE(same_bits(torch::rand({3}), expected));
}

TEST_F(PreservedTest, AStateOfTheGeneratorsIsTakenUpAsOftenAsOneLikes) {
  const auto again = generator_states(torch::kCPU);
  const auto expected = torch::rand({3});
  for (int k = 0; k < 2; ++k) {
    again();
    EXPECT_TRUE(same_bits(torch::rand({3}), expected));
  }
}

/// What a detour writes to: the data, the `.grad`s, the buffers.
struct Exchanged : PreservedTest {
  std::vector<Tensor> stand_ins() const {
    std::vector<Tensor> values;
    for (const auto& p : parameters) values.push_back(p.detach() + 1);
    return values;
  }
  void exchange(Preserved& before) const {
    before.exchange_data(parameters, stand_ins()).exchange_gradients(parameters);
    before.exchange_buffers(Model(model.ptr()));
  }
};

TEST_F(Exchanged, GetTheirOwnMemoryBackUnwritten) {
  const Snapshot before(parameters, model.ptr());
  const auto gradient = parameters[0].grad();
  const auto* const memory = parameters[0].data_ptr();
  const auto* const buffer_memory = model->buffers()[0].data_ptr();
  const auto gradient_version = gradient._version();
  {
    Preserved kept;
    exchange(kept);
    kept.generators(torch::kCPU);
    EXPECT_TRUE(same_bits(parameters[0].grad(), gradient));
    EXPECT_FALSE(parameters[0].grad().is_same(gradient));
    EXPECT_NE(parameters[0].data_ptr(), memory);
    const torch::NoGradGuard no_grad;
    for (auto& buffer : model->buffers()) buffer.add_(1);
    parameters[0].mutable_grad().mul_(3);
    model->eval();
    torch::rand({5});
  }
  before.expect_unchanged();
  EXPECT_EQ(parameters[0].data_ptr(), memory);
  EXPECT_TRUE(parameters[0].grad().is_same(gradient));
  EXPECT_EQ(gradient._version(), gradient_version);
  EXPECT_EQ(model->buffers()[0].data_ptr(), buffer_memory);
}

TEST_F(Exchanged, AGraphThatSavedThemStaysValid) {
  const auto loss = model->forward(Training::inputs(0)).square().sum();
  const auto expected = torch::autograd::grad({loss}, {parameters[0]}, {}, /*retain_graph=*/true);
  {
    Preserved kept;
    exchange(kept);
    model->forward(Training::inputs(1));
  }
  EXPECT_TRUE(same_bits(torch::autograd::grad({loss}, {parameters[0]})[0], expected[0]));
}

TEST_F(Exchanged, AreBackAfterAnExceptionHalfWay) {
  const Snapshot before(parameters, model.ptr());
  auto values = stand_ins();
  values.back() = Tensor();  // set_data throws
  const auto fail = [&] {
    Preserved kept;
    kept.exchange_data(parameters, values);
  };
  EXPECT_THROW(fail(), c10::Error);
  before.expect_unchanged();
}

// The whole's mode is its parts' too: it is put back before theirs.
TEST_F(PreservedTest, ModesOfPartsThatDifferFromTheWhole) {
  model->eval();
  model[2]->train();
  {
    Preserved kept;
    kept.module(Model(model.ptr()));
    model->train();
  }
  EXPECT_FALSE(model->is_training());
  EXPECT_TRUE(model[2]->is_training());
  EXPECT_FALSE(model[0]->is_training());
}

}  // namespace
}  // namespace natgrad::testing::preserved_test
