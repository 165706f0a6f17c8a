"""What turns a backbone's last feature map into logits. Each head is a module of its own, for any training loop."""
