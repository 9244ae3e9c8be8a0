#include "optim/transaction.h"

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::transaction_test {
namespace {

/// A module with parameters, buffers and modes, some gradients defined and some not.
struct TransactionTest : ::testing::Test {
  torch::nn::Sequential model = classifier(/*noisy=*/true);
  std::vector<Tensor> parameters = model->parameters();

  TransactionTest() {
    parameters[0].mutable_grad() = randn(parameters[0].sizes(), 1);
    parameters[2].mutable_grad() = torch::full_like(parameters[2], std::nan(""));
    parameters[1].requires_grad_(false);
    model[3]->eval();
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

TEST_F(TransactionTest, PutsEverythingBackUnlessCommitted) {
  const Snapshot before(parameters, model.ptr());
  {
    const Transaction transaction(parameters, model.ptr());
    change_everything();
  }
  before.expect_unchanged();
}

TEST_F(TransactionTest, PutsEverythingBackWhenAnExceptionPasses) {
  const Snapshot before(parameters, model.ptr());
  const auto fail = [&] {
    const Transaction transaction(parameters, model.ptr());
    change_everything();
    throw std::runtime_error("mine");
  };
  EXPECT_THROW(fail(), std::runtime_error);
  before.expect_unchanged();
}

TEST_F(TransactionTest, CommitKeepsEverything) {
  const auto old = parameters[0].detach().clone();
  {
    Transaction transaction(parameters, model.ptr());
    change_everything();
    transaction.commit();
  }
  EXPECT_TRUE(same_bits(parameters[0], old + 1));
  EXPECT_FALSE(parameters[0].requires_grad());
  EXPECT_TRUE(parameters[3].grad().defined());
  EXPECT_FALSE(parameters[2].grad().defined());
  EXPECT_FALSE(model[2]->is_training());
}

TEST_F(TransactionTest, KeepsTheGradientTensorsIdentity) {
  const auto gradient = parameters[0].grad();
  {
    const Transaction transaction(parameters, model.ptr());
    parameters[0].mutable_grad() = Tensor();
  }
  EXPECT_TRUE(parameters[0].grad().is_same(gradient));
}

TEST_F(TransactionTest, WithoutAModuleItsBuffersAreNotTouched) {
  const auto buffer = model->buffers()[0];
  const auto old = buffer.clone();
  {
    const Transaction transaction(parameters, nullptr);
    buffer.add_(1);
  }
  EXPECT_TRUE(same_bits(buffer, old + 1));
}

TEST_F(TransactionTest, UnchangedParametersAreNotWritten) {
  // A write would bump the version, and with it break graphs that saved the parameter.
  const auto version = parameters[0]._version();
  { const Transaction transaction(parameters, model.ptr()); }
  EXPECT_EQ(parameters[0]._version(), version);
}

TEST_F(TransactionTest, RestoresParametersWithNaN) {
  {
    const torch::NoGradGuard no_grad;
    parameters[0].view(-1)[0] = std::nan("");
  }
  const Snapshot before(parameters, model.ptr());
  {
    const Transaction transaction(parameters, model.ptr());
    change_everything();
  }
  before.expect_unchanged();
}

TEST_F(TransactionTest, RestoresStridedParameters) {
  const auto strided = randn({4, 6}, 2).t().slice(0, 0, 6, 2).requires_grad_();
  const Snapshot before({strided});
  {
    const Transaction transaction({strided}, nullptr);
    const torch::NoGradGuard no_grad;
    Tensor(strided).mul_(2);
  }
  before.expect_unchanged();
}

TEST_F(TransactionTest, TheGeneratorGoesOnFromWhereItWas) {
  torch::manual_seed(11);
  const auto expected = torch::rand({3});
  torch::manual_seed(11);
  {
    const Transaction transaction(parameters, nullptr);
    torch::rand({7});
  }
  EXPECT_TRUE(same_bits(torch::rand({3}), expected));
}

}  // namespace
}  // namespace natgrad::testing::transaction_test
