"""What is wrong with the data that a student is trained and tested on, before anything is concluded from it."""
