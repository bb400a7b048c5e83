"""Know before you train: what each strategy's data is worth, and after training, why the student is as it is."""
